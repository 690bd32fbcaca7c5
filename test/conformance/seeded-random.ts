import { nobleCrypto, type SealRandom } from '#sdk/seal';

/** Reproducible "chance" for vectors: the n-th draw is SHAKE-256(label ‖ "#" ‖ n). Never for real keys. */
export function seededRandom(label: string): SealRandom {
  let draw = 0;
  return {
    bytes: (lengthBytes) => nobleCrypto.shake256(new TextEncoder().encode(`${label}#${draw++}`), lengthBytes),
  };
}

/** Reproducible content of any size: the one draw of a label. */
export function seededContent(label: string, lengthBytes: number): Uint8Array {
  return seededRandom(`content ${label}`).bytes(lengthBytes);
}

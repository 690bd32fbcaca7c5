import { utf8 } from '../../domain/base64url.ts';
import type { Crypto, Random } from '../../ports/crypto.ts';

const NONCE_BYTES = 12;

/** The keys behind FUSELINK_SECRET: version (1..255) → 32 bytes. New things use `current`; old ones name theirs. */
export interface KeyringKeys {
  current: number;
  keys: ReadonlyMap<number, Uint8Array>;
}

/**
 * Seals what the server itself must be able to read back (names, seeds, device secrets) and derives what it must be
 * able to find again (blind indexes). Each purpose has its own key, by HKDF, so that nothing sealed for one can be
 * passed off as another.
 */
export interface Keyring {
  /** `version (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`, bound to `context`. */
  seal(purpose: string, context: string, plaintext: Uint8Array): Uint8Array;
  /** The plaintext, or null where it was altered, belongs elsewhere, or its key is not in the keyring. */
  open(purpose: string, context: string, sealed: Uint8Array): Uint8Array | null;
  /** HMAC-SHA-256 under a given key version (default: current). */
  mac(purpose: string, parts: readonly Uint8Array[], version?: number): Uint8Array;
  /** All versions, newest first: an index made before a rotation of the secret is found under its own version. */
  readonly versions: readonly number[];
  readonly current: number;
}

export function createKeyring(keys: KeyringKeys, deps: { crypto: Crypto; random: Random }): Keyring {
  const { crypto, random } = deps;
  const derived = new Map<string, Uint8Array>();

  function keyFor(purpose: string, version: number): Uint8Array | null {
    const name = `${version} ${purpose}`;
    const known = derived.get(name);
    if (known !== undefined) return known;
    const root = keys.keys.get(version);
    if (root === undefined) return null;
    const key = crypto.hkdfSha256({
      ikm: root,
      salt: new Uint8Array(0),
      info: `fuselink keyring v1 ${purpose}`,
      bytes: 32,
    });
    derived.set(name, key);
    return key;
  }

  function currentKey(purpose: string, version: number): Uint8Array {
    const key = keyFor(purpose, version);
    if (key === null) throw new Error(`FUSELINK_SECRET has no key of version ${version}`);
    return key;
  }

  return {
    current: keys.current,
    versions: [...keys.keys.keys()].sort((a, b) => b - a),
    seal(purpose, context, plaintext) {
      const nonce = random.bytes(NONCE_BYTES);
      const aad = utf8(`${purpose}\n${context}`);
      const sealed = crypto.seal({ key: currentKey(purpose, keys.current), nonce, aad, plaintext });
      const out = new Uint8Array(1 + NONCE_BYTES + sealed.length);
      out[0] = keys.current;
      out.set(nonce, 1);
      out.set(sealed, 1 + NONCE_BYTES);
      return out;
    },
    open(purpose, context, sealed) {
      const key = sealed.length > NONCE_BYTES + 1 ? keyFor(purpose, sealed[0] ?? 0) : null;
      if (key === null) return null;
      const aad = utf8(`${purpose}\n${context}`);
      return crypto.open({
        key,
        nonce: sealed.subarray(1, 1 + NONCE_BYTES),
        aad,
        sealed: sealed.subarray(1 + NONCE_BYTES),
      });
    },
    mac(purpose, parts, version = keys.current) {
      return crypto.hmacSha256(currentKey(purpose, version), ...parts);
    },
  };
}

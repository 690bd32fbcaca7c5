/** The record in a slot, as its bytes say (SPEC: 60 bytes, little-endian, CRC-32 last). Read here by nobody else's code. */
export interface SeenSlot {
  generation: number;
  base: string;
  fingerprint: string;
}

const SLOT_BYTES = 60;
const POLYNOMIAL = 0xedb88320;

const TABLE = new Uint32Array(256).map((_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

function crc(bytes: Uint8Array, end: number): number {
  let value = 0xffffffff;
  for (let i = 0; i < end; i++) value = (TABLE[(value ^ (bytes[i] as number)) & 255] as number) ^ (value >>> 8);
  return ~value >>> 0;
}

function hex(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('hex');
}

/** The record, or null for anything that is not exactly one. */
export function readSlotBytes(bytes: Uint8Array | null): SeenSlot | null {
  if (bytes === null || bytes.length !== SLOT_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, SLOT_BYTES);
  if (view.getUint16(0, false) !== 0x464c || bytes[2] !== 1 || bytes[3] !== 1) return null;
  if (view.getUint32(56, true) !== crc(bytes, 56)) return null;
  return { generation: view.getUint32(4, true), base: hex(bytes, 8, 16), fingerprint: hex(bytes, 16, 24) };
}

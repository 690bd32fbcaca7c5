/*
 * A file on its way over MQTT, in either direction (firmware-bridge/SPEC.md). Its manifest is one line of JSON; the file's id
 * is the first 16 bytes of SHA-256 of that line. The manifest names tables by their SHA-256, a table is the SHA-256 of up
 * to 2048 blocks, 32 bytes each, and a block is `block` bytes of the file: whatever comes is checked when it comes, and a
 * signature over the manifest covers every byte.
 */
export interface FileManifest {
  v: 1;
  name: string;
  type: string;
  /** Bytes of the file. */
  size: number;
  /** SHA-256 of the whole, 64 hex characters. */
  sha256: string;
  /** Bytes of a block; the last one may be shorter. */
  block: number;
  /** SHA-256 of each table, 64 hex characters. */
  tables: string[];
  /** Makes two sendings of one file two files. */
  n?: string;
  /** Seconds its link is to live; up only. */
  ttl?: number;
  recipient?: string;
  note?: string;
  /** The version, where the file is an image that a signature has to vouch for. */
  firmware?: string;
}

/** What a receiver tells of a file. */
export interface FileState {
  /**
   * `unknown`: send the manifest. `receiving`: what is missing is told. `complete`: all of it is here and as announced.
   * `passing`: nothing is missing, and its beginning is no longer here but on the server: to be kept until `stored`.
   * `stored`: the server has it. `refused`: it is not taken; `reason` says why.
   */
  state: 'unknown' | 'receiving' | 'complete' | 'passing' | 'stored' | 'refused';
  /** Numbers of missing tables, 64 at most. */
  tables?: number[];
  /** Missing blocks in all, of the tables that are here. */
  missing?: number;
  /** The block that the first bit stands for, a multiple of 8. */
  from?: number;
  /** Base64: a bit a block, the highest first; set: missing. */
  bits?: string;
  reason?: string;
  /** The transfer on the server; never its link. */
  id?: string;
}

export const FILE_BLOCK_BYTES_MIN = 256;
export const FILE_BLOCK_BYTES_MAX = 131072;
/** Hashes in a table: 64 KiB. */
export const FILE_TABLE_HASHES = 2048;
export const FILE_HASH_BYTES = 32;
/** A manifest fits into one message, and so do 900 tables: 5 GiB in blocks of 4 KiB and more. */
export const FILE_MANIFEST_BYTES_MAX = 65536;
/** Bytes of the bitmap in one message: 8192 blocks. */
export const FILE_BITMAP_BYTES_MAX = 1024;
export const FILE_TABLES_TOLD_MAX = 64;

/** Bytes of an image: what a server keeps in rows, and a gateway sends block by block. */
export const FIRMWARE_BYTES_MAX = 33554432;

/** Signed is FIRMWARE_LABEL, a line feed and the manifest's line, with Ed25519 [RFC 8032]. */
export const FIRMWARE_LABEL = 'fuselink firmware v1';

/** The blocks of a file. */
export function fileBlocks(manifest: FileManifest): number {
  return Math.ceil(manifest.size / manifest.block);
}

/** The tables of so many blocks. */
export function fileTables(blocks: number): number {
  return Math.ceil(blocks / FILE_TABLE_HASHES);
}

const HASH = /^[0-9a-f]{64}$/;
/** No control characters and no half of a surrogate pair. */
const UNFIT = /[\u0000-\u001f\u007f\ud800-\udfff]/;

function isText(value: unknown, charsMin: number, charsMax: number): boolean {
  // Pairs of surrogates are fine: they are taken out before the halves are looked for.
  if (typeof value !== 'string' || value.length < charsMin || value.length > charsMax) return false;
  return !UNFIT.test(value.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''));
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && Math.floor(value) === value && value >= min && value <= max;
}

function isOptionalText(value: unknown, charsMax: number): boolean {
  return value === undefined || isText(value, 1, charsMax);
}

/** The manifest of a line of JSON, or a text that says what was expected. `sizeMax`: bytes a file may have. */
export function parseFileManifest(line: string, sizeMax: number): FileManifest | string {
  let said: unknown;
  try {
    said = JSON.parse(line);
  } catch (_error) {
    return 'expected a line of JSON';
  }
  if (typeof said !== 'object' || said === null) return 'expected a JSON object';
  const manifest = said as FileManifest;
  if (manifest.v !== 1) return 'v: expected 1';
  if (!isText(manifest.name, 1, 255)) return 'name: expected 1 to 255 characters';
  if (!isText(manifest.type, 1, 255)) return 'type: expected a content type';
  if (!isWhole(manifest.size, 0, sizeMax)) return 'size: expected at most ' + sizeMax + ' bytes';
  if (typeof manifest.sha256 !== 'string' || !HASH.test(manifest.sha256)) return 'sha256: expected 64 hex characters';
  if (!isWhole(manifest.block, FILE_BLOCK_BYTES_MIN, FILE_BLOCK_BYTES_MAX)) {
    return 'block: expected ' + FILE_BLOCK_BYTES_MIN + ' to ' + FILE_BLOCK_BYTES_MAX + ' bytes';
  }
  const tables = fileTables(fileBlocks(manifest));
  if (!Array.isArray(manifest.tables) || manifest.tables.length !== tables) {
    return 'tables: expected ' + tables + ' for this size and block';
  }
  for (let i = 0; i < tables; i++) {
    const hash: unknown = manifest.tables[i];
    if (typeof hash !== 'string' || !HASH.test(hash)) return 'tables: expected 64 hex characters each';
  }
  if (!isOptionalText(manifest.n, 64)) return 'n: expected at most 64 characters';
  if (manifest.ttl !== undefined && !isWhole(manifest.ttl, 60, 604800)) return 'ttl: expected 60 to 604800 seconds';
  if (!isOptionalText(manifest.recipient, 254)) return 'recipient: expected at most 254 characters';
  if (!isOptionalText(manifest.note, 1000)) return 'note: expected at most 1000 characters';
  if (!isOptionalText(manifest.firmware, 64)) return 'firmware: expected a version of at most 64 characters';
  return manifest;
}

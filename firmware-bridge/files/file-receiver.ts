import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '#sdk/node';
import {
  FILE_BITMAP_BYTES_MAX,
  FILE_HASH_BYTES,
  FILE_TABLE_HASHES,
  FILE_TABLES_TOLD_MAX,
  type FileManifest,
  type FileState,
  fileBlocks,
} from '#sdk/protocol';
import { sha256 } from './make-manifest.ts';

const TABLE_BYTES = FILE_TABLE_HASHES * FILE_HASH_BYTES;
const READ_BYTES = 1_048_576;
/** A block or table may be missing, in the folder, or where nobody has to send it any more: on the server. */
const MISSING = 0;
const HERE = 1;
const ELSEWHERE = 2;

/** `foreign`: its hash is not one of this file, or the bytes are not what their hash says. */
export type PartOutcome = 'taken' | 'known' | 'foreign';

/**
 * A file as it comes together in a folder of its own: `manifest`, `tables`, `data`. Nothing says what is there but the bytes
 * themselves: after a restart each is checked against its hash again, so no crash can leave a lie behind.
 */
export class FileReceiver {
  readonly manifest: FileManifest;
  readonly dataPath: string;
  readonly #tablesFile: FileHandle;
  readonly #data: FileHandle;
  /** Hashes of all blocks, zeros where their table is missing. */
  readonly #hashes: Buffer;
  readonly #tableHere: Uint8Array;
  readonly #here: Uint8Array;
  #missing: number;
  #elsewhere = 0;
  /** No block before this one is missing. */
  #first = 0;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(manifest: FileManifest, folder: string, files: { tables: FileHandle; data: FileHandle }) {
    this.manifest = manifest;
    this.dataPath = join(folder, 'data');
    this.#tablesFile = files.tables;
    this.#data = files.data;
    this.#missing = fileBlocks(manifest);
    this.#hashes = Buffer.alloc(this.#missing * FILE_HASH_BYTES);
    this.#tableHere = new Uint8Array(manifest.tables.length);
    this.#here = new Uint8Array(this.#missing);
  }

  /** Begins, or goes on with what an earlier run left in the folder. */
  static async open(folder: string, line: string, manifest: FileManifest): Promise<FileReceiver> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const kept = await readFile(join(folder, 'manifest'), 'utf8').catch(() => null);
    if (kept !== line) await writeFileAtomic(join(folder, 'manifest'), line);
    const flags = kept === line ? 'a+' : 'w+';
    // Made where it is not there, then opened for writes at any place.
    for (const name of ['tables', 'data']) await (await open(join(folder, name), flags, 0o600)).close();
    const tables = await open(join(folder, 'tables'), 'r+');
    const data = await open(join(folder, 'data'), 'r+');
    const receiver = new FileReceiver(manifest, folder, { tables, data });
    if (kept === line) await receiver.#recover();
    return receiver;
  }

  get isWhole(): boolean {
    return this.#missing === 0;
  }

  /** Bytes of the file's beginning that are on the server and not here. */
  get bytesElsewhere(): number {
    return this.#elsewhere;
  }

  /** The file up to the first block that is missing, its last block left out: with that one it would be whole. */
  get bytesAhead(): number {
    return Math.min(this.#firstMissing(), Math.max(0, this.#here.length - 1)) * this.manifest.block;
  }

  /** The server has so many bytes of its beginning: what of them is not here need not come. Fewer than before may. */
  elsewhere(bytes: number): void {
    const blocks = bytes >= this.manifest.size ? this.#here.length : Math.floor(bytes / this.manifest.block);
    const tables = blocks === this.#here.length ? this.#tableHere.length : Math.floor(blocks / FILE_TABLE_HASHES);
    settle(this.#here, blocks);
    settle(this.#tableHere, tables);
    this.#first = 0;
    this.#missing = this.#here.filter((one) => one === MISSING).length;
    this.#elsewhere = Math.min(this.manifest.size, (this.#here.lastIndexOf(ELSEWHERE) + 1) * this.manifest.block);
  }

  /** Bytes that are here, from any place before `bytesAhead`. */
  async read(from: number, bytes: number): Promise<Buffer> {
    const piece = Buffer.alloc(bytes);
    const { bytesRead } = await this.#data.read(piece, 0, bytes, from);
    return piece.subarray(0, bytesRead);
  }

  /** What is missing, for the sender: all of it where it fits into one message, else its beginning. */
  state(): FileState {
    const tables = [...this.#tableHere.entries()].flatMap(([i, here]) => (here === MISSING ? [i] : []));
    const firstMissing = this.#firstMissing();
    const from = firstMissing - (firstMissing % 8);
    // Blocks whose table is not here yet cannot be taken, so they are not asked for.
    const known = Math.min(this.#here.length, this.#knownBlocks());
    const bits = Buffer.alloc(Math.min(FILE_BITMAP_BYTES_MAX, Math.ceil(Math.max(0, known - from) / 8)));
    for (let i = 0; i < bits.length * 8 && from + i < known; i++) {
      if (this.#here[from + i] === MISSING) bits[i >> 3] = (bits[i >> 3] as number) | (0x80 >> (i & 7));
    }
    return {
      state: 'receiving',
      tables: tables.slice(0, FILE_TABLES_TOLD_MAX),
      missing: this.#missing,
      from,
      bits: bits.toString('base64'),
    };
  }

  /** A table or block by its SHA-256 in hex. Resolves when the file has it; rejects with the system's error. */
  take(hash: string, bytes: Buffer): Promise<PartOutcome> {
    const done = this.#turn.then(() => this.#take(Buffer.from(hash, 'hex'), bytes));
    this.#turn = done.catch(() => {});
    return done;
  }

  /** Makes it durable, and whether the whole is what the manifest says. */
  async finish(): Promise<boolean> {
    await this.#turn;
    await this.#data.datasync();
    const hash = createHash('sha256');
    const piece = Buffer.alloc(READ_BYTES);
    for (let at = 0; ; ) {
      const { bytesRead } = await this.#data.read(piece, 0, piece.length, at);
      if (bytesRead === 0) break;
      hash.update(piece.subarray(0, bytesRead));
      at += bytesRead;
    }
    return hash.digest('hex') === this.manifest.sha256;
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#tablesFile.close();
    await this.#data.close();
  }

  async #take(hash: Buffer, bytes: Buffer): Promise<PartOutcome> {
    if (!sha256(bytes).equals(hash)) return 'foreign';
    const table = this.manifest.tables.indexOf(hash.toString('hex'));
    if (table >= 0) return this.#takeTable(table, bytes);
    const block = this.#blockOf(hash);
    if (block === null) return this.#hashAt(hash, 0) === null ? 'foreign' : 'known';
    if (bytes.length !== this.#blockBytes(block)) return 'foreign';
    await this.#data.write(bytes, 0, bytes.length, block * this.manifest.block);
    this.#mark(block);
    return 'taken';
  }

  async #takeTable(table: number, bytes: Buffer): Promise<PartOutcome> {
    if (this.#tableHere[table] !== MISSING) return 'known';
    if (bytes.length !== this.#tableBytes(table)) return 'foreign';
    await this.#tablesFile.write(bytes, 0, bytes.length, table * TABLE_BYTES);
    this.#hashes.set(bytes, table * TABLE_BYTES);
    this.#tableHere[table] = HERE;
    return 'taken';
  }

  /** The first missing block with this hash; blocks mostly come in order, so it is looked for from there. */
  #blockOf(hash: Buffer): number | null {
    for (let block: number | null = this.#firstMissing(); ; block += 1) {
      block = this.#hashAt(hash, block);
      if (block === null) return null;
      if (this.#here[block] === MISSING) return block;
    }
  }

  /** The first block from `from` with this hash, missing or not. */
  #hashAt(hash: Buffer, from: number): number | null {
    for (let at = from * FILE_HASH_BYTES; ; at += 1) {
      at = this.#hashes.indexOf(hash, at);
      if (at < 0) return null;
      const block = Math.floor(at / FILE_HASH_BYTES);
      if (at % FILE_HASH_BYTES === 0 && this.#tableHere[Math.floor(block / FILE_TABLE_HASHES)] === HERE) return block;
    }
  }

  #firstMissing(): number {
    while (this.#first < this.#here.length && this.#here[this.#first] !== MISSING) this.#first += 1;
    return this.#first;
  }

  #mark(block: number): void {
    this.#here[block] = HERE;
    this.#missing -= 1;
  }

  /** Blocks before the first missing table. */
  #knownBlocks(): number {
    const table = this.#tableHere.indexOf(MISSING);
    return table < 0 ? this.#here.length : table * FILE_TABLE_HASHES;
  }

  #blockBytes(block: number): number {
    return Math.min(this.manifest.block, this.manifest.size - block * this.manifest.block);
  }

  #tableBytes(table: number): number {
    return Math.min(FILE_TABLE_HASHES, this.#here.length - table * FILE_TABLE_HASHES) * FILE_HASH_BYTES;
  }

  async #recover(): Promise<void> {
    const { size } = await this.#tablesFile.stat();
    const kept = Buffer.alloc(Math.min(size, this.#hashes.length));
    await this.#tablesFile.read(kept, 0, kept.length, 0);
    for (const [i, name] of this.manifest.tables.entries()) {
      const bytes = kept.subarray(i * TABLE_BYTES, i * TABLE_BYTES + this.#tableBytes(i));
      if (bytes.length !== this.#tableBytes(i) || sha256(bytes).toString('hex') !== name) continue;
      this.#hashes.set(bytes, i * TABLE_BYTES);
      this.#tableHere[i] = HERE;
    }
    const piece = Buffer.alloc(this.manifest.block);
    for (let block = 0; block < this.#here.length; block++) {
      if (this.#tableHere[Math.floor(block / FILE_TABLE_HASHES)] !== HERE) continue;
      const length = this.#blockBytes(block);
      const { bytesRead } = await this.#data.read(piece, 0, length, block * this.manifest.block);
      const hash = this.#hashes.subarray(block * FILE_HASH_BYTES, (block + 1) * FILE_HASH_BYTES);
      if (bytesRead === length && sha256(piece.subarray(0, length)).equals(hash)) this.#mark(block);
    }
  }
}

/** The first `count` that are missing are elsewhere; what was elsewhere behind them is missing. */
function settle(parts: Uint8Array, count: number): void {
  for (let i = 0; i < parts.length; i++) {
    if (i < count && parts[i] === MISSING) parts[i] = ELSEWHERE;
    else if (i >= count && parts[i] === ELSEWHERE) parts[i] = MISSING;
  }
}

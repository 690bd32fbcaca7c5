import type { BlobWriter } from '../../ports/blob-store.ts';
import { StorageUnavailableError } from '../../ports/faults.ts';
import { encodeManifest, type Generation, manifestName, type Piece, pieceName } from './manifest.ts';
import type { S3Objects, UploadedPart } from './objects.ts';

/** What every store accepts as a part: at least 5 MiB, all but the last of one size. 10,000 of them are 48 GiB. */
export const PART_BYTES = 5 * 1024 * 1024;
/** Parts being sent at once; beyond them `write` waits. With the part being gathered a writer holds 15 MiB. */
const PARTS_AT_ONCE = 2;

interface OpenPiece {
  name: string;
  uploadId: Promise<string>;
  parts: Promise<UploadedPart>[];
  bytes: number;
}

/**
 * Writes one generation of a blob. What lies between two syncs becomes one piece: an object put at once where it is
 * smaller than a part, sent in parts while it is being written where it is larger. A sync ends the piece and then names
 * it in the generation's manifest, so a manifest never names what is not there.
 */
export class S3Writer implements BlobWriter {
  readonly #objects: S3Objects;
  readonly #id: string;
  readonly #generation: Generation;
  readonly #forget: (writer: S3Writer) => void;
  #pieces: Piece[];
  #piecesBegun = 0;
  #open: OpenPiece | null = null;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #sending = 0;
  #room: (() => void)[] = [];
  #broken: { fault: unknown } | null = null;
  #ended = false;
  /** Syncs run one behind the other. */
  #syncing: Promise<void> = Promise.resolve();

  constructor(
    objects: S3Objects,
    options: { id: string; generation: Generation; pieces: Piece[]; forget: (writer: S3Writer) => void },
  ) {
    this.#objects = objects;
    this.#id = options.id;
    this.#generation = options.generation;
    this.#pieces = options.pieces;
    this.#forget = options.forget;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#refuse();
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.byteLength;
    while (this.#gatheredBytes >= PART_BYTES) this.#sendPart(this.#takeGathered(PART_BYTES));
    while (this.#sending > PARTS_AT_ONCE && this.#broken === null) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    this.#refuse();
  }

  sync(): Promise<void> {
    return this.#sync({ finished: false });
  }

  async finish(): Promise<void> {
    try {
      await this.#sync({ finished: true });
    } finally {
      this.#ended = true;
      this.#forget(this);
      await this.#dropOpen();
    }
  }

  async abandon(): Promise<void> {
    this.#broken ??= { fault: new StorageUnavailableError('blobs: the writer was abandoned or replaced') };
    this.#gathered = [];
    this.#gatheredBytes = 0;
    for (const resume of this.#room.splice(0)) resume();
    this.#forget(this);
    await this.#syncing;
    await this.#dropOpen();
  }

  /** Puts the manifest as it stands: what opening a writer begins with. */
  async putManifest(finished: boolean): Promise<void> {
    const bytes = encodeManifest({ finished, pieces: this.#pieces });
    await this.#objects.put(`${this.#id}/${manifestName(this.#generation)}`, bytes);
  }

  #refuse(): void {
    if (this.#broken !== null) throw this.#broken.fault;
    if (this.#ended) throw new StorageUnavailableError('blobs: the writer is closed');
  }

  #sync(options: { finished: boolean }): Promise<void> {
    const run = this.#syncing.then(async () => {
      this.#refuse();
      // What is written while this sync is under way belongs to the next piece.
      const open = this.#open;
      this.#open = null;
      const rest = this.#gatheredBytes > 0 ? this.#takeGathered(this.#gatheredBytes) : null;
      try {
        const piece = await this.#endPiece(open, rest);
        this.#refuse();
        if (piece !== null) this.#pieces = [...this.#pieces, piece];
        if (piece !== null || options.finished) await this.putManifest(options.finished);
        this.#refuse();
      } catch (error) {
        this.#broken ??= { fault: error };
        if (open !== null) await this.#drop(open);
        throw this.#broken.fault;
      }
    });
    this.#syncing = run.catch(() => undefined);
    return run;
  }

  async #endPiece(open: OpenPiece | null, rest: Uint8Array | null): Promise<Piece | null> {
    if (open === null) {
      if (rest === null) return null;
      const name = this.#nextName();
      await this.#objects.put(`${this.#id}/${name}`, rest);
      return { name, bytes: rest.byteLength };
    }
    if (rest !== null) this.#sendInto(open, rest);
    const parts = await Promise.all(open.parts);
    await this.#objects.joinParts(`${this.#id}/${open.name}`, await open.uploadId, parts, open.bytes);
    return { name: open.name, bytes: open.bytes };
  }

  #nextName(): string {
    return pieceName(this.#generation.writer, this.#piecesBegun++);
  }

  #sendPart(bytes: Uint8Array): void {
    if (this.#open === null) {
      const name = this.#nextName();
      this.#open = { name, uploadId: this.#objects.beginParts(`${this.#id}/${name}`), parts: [], bytes: 0 };
    }
    this.#sendInto(this.#open, bytes);
  }

  #sendInto(open: OpenPiece, bytes: Uint8Array): void {
    const number = open.parts.length + 1;
    open.bytes += bytes.byteLength;
    this.#sending++;
    const sent = open.uploadId.then((uploadId) =>
      this.#objects.putPart(`${this.#id}/${open.name}`, uploadId, { number, bytes }),
    );
    open.parts.push(sent);
    sent
      .catch((error: unknown) => {
        this.#broken ??= { fault: error };
      })
      .then(() => {
        this.#sending--;
        for (const resume of this.#room.splice(0)) resume();
      });
  }

  /** The first `count` gathered bytes as one array. */
  #takeGathered(count: number): Uint8Array {
    const taken = new Uint8Array(count);
    let at = 0;
    while (at < count) {
      const first = this.#gathered[0] as Uint8Array;
      const part = first.subarray(0, count - at);
      taken.set(part, at);
      at += part.byteLength;
      if (part.byteLength === first.byteLength) this.#gathered.shift();
      else this.#gathered[0] = first.subarray(part.byteLength);
    }
    this.#gatheredBytes -= count;
    return taken;
  }

  async #dropOpen(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    if (open !== null) await this.#drop(open);
  }

  /** Tells the store to forget a piece's parts. Where that fails they go with the blob's deletion. */
  async #drop(open: OpenPiece): Promise<void> {
    try {
      await Promise.allSettled(open.parts);
      await this.#objects.dropParts(`${this.#id}/${open.name}`, await open.uploadId);
    } catch {
      // Unreachable: nothing was promised about these bytes.
    }
  }
}

import { isBlobId } from '../blob-ids.ts';

/**
 * How a blob lies in the bucket:
 *
 *   <id>/m-<generation, 10 digits>-<writer>   a manifest: which pieces, in order, make the blob
 *   <id>/p-<writer>-<number, 8 digits>        a piece: what one writer wrote between two syncs
 *
 * Each opening of a writer is a generation of its own with a random name, and writes only under that name: a writer that
 * was replaced, even on another machine that was paused for an hour, can write nothing that the newer one's manifest names.
 */
export interface Manifest {
  finished: boolean;
  pieces: Piece[];
}

export interface Piece {
  /** The object's key behind `<id>/`. */
  name: string;
  /** How many of its first bytes belong to the blob. */
  bytes: number;
}

export interface Generation {
  number: number;
  writer: string;
}

export interface StoredManifest {
  generation: Generation;
  manifest: Manifest;
}

const MANIFEST = /^m-(\d{10})-([A-Za-z0-9_-]{16})$/;
const PIECE = /^p-[A-Za-z0-9_-]{16}-\d{8}$/;

export function manifestName(generation: Generation): string {
  return `m-${String(generation.number).padStart(10, '0')}-${generation.writer}`;
}

export function pieceName(writer: string, number: number): string {
  return `p-${writer}-${String(number).padStart(8, '0')}`;
}

/** The generation a manifest's name tells; null for other names. */
export function generationOf(name: string): Generation | null {
  const found = MANIFEST.exec(name);
  return found === null ? null : { number: Number(found[1]), writer: found[2] as string };
}

/** The blob that a key below the store's prefix belongs to; null for strangers' keys. */
export function blobOf(key: string): string | null {
  const slash = key.indexOf('/');
  const id = key.slice(0, slash);
  const name = key.slice(slash + 1);
  return slash > 0 && isBlobId(id) && (MANIFEST.test(name) || PIECE.test(name)) ? id : null;
}

/** Newest first; writers that opened at the very same moment in the order of their names, which is the same everywhere. */
export function newestFirst(a: Generation, b: Generation): number {
  return b.number - a.number || (a.writer < b.writer ? 1 : -1);
}

export function manifestBytes(manifest: Manifest): number {
  return manifest.pieces.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The pieces that make the first `bytes` bytes. */
export function cutPieces(pieces: readonly Piece[], bytes: number): Piece[] {
  const kept: Piece[] = [];
  let rest = bytes;
  for (const piece of pieces) {
    if (rest === 0) break;
    const part = Math.min(piece.bytes, rest);
    if (part > 0) kept.push({ name: piece.name, bytes: part });
    rest -= part;
  }
  return kept;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ format: 1, ...manifest }));
}

/** Throws TypeError for what is no manifest of this format. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const value = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Manifest> & { format?: number };
  const { format, finished, pieces } = value;
  const isPiece = (piece: Piece) => PIECE.test(piece.name) && Number.isSafeInteger(piece.bytes) && piece.bytes >= 0;
  if (format !== 1 || typeof finished !== 'boolean' || !Array.isArray(pieces) || !pieces.every(isPiece)) {
    throw new TypeError('expected a manifest of format 1');
  }
  return { finished, pieces };
}

import { createReadStream } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SendSource } from '../api.ts';
import { bufferSource } from './buffer-source.ts';
import type { FileSource } from './file-source.ts';
import { fileSource, sourceError } from './file-source.ts';
import type { Source } from './source.ts';
import type { ByteStream } from './stream-source.ts';

export interface OpenedSource {
  source: Source;
  /** The name it has by itself, or null. */
  name: string | null;
  /** Set for a regular file: what a later run can resume from. */
  file: { path: string; source: FileSource } | null;
  /** Set for what is sealed as it is sent: the file's own name, and the fragment that opens it, known at the end. */
  sealed?: { name: string | null; fragment(): string | null };
}

async function stream(from: ByteStream, oneShotBytesMax: number): Promise<Source> {
  const { streamSource } = await import('./stream-source.ts');
  return streamSource(from, oneShotBytesMax);
}

/** Take what a caller gave as something to send. Pipes and devices named by path are read as streams. */
export async function openSource(from: SendSource, oneShotBytesMax: number): Promise<OpenedSource> {
  if (typeof from === 'string' || from instanceof URL) {
    const path = from instanceof URL ? fileURLToPath(from) : from;
    const found = await stat(path).catch((error: unknown) => {
      throw sourceError(error, path);
    });
    if (!found.isFile() && !found.isDirectory()) {
      return { source: await stream(createReadStream(path), oneShotBytesMax), name: basename(path), file: null };
    }
    const source = await fileSource(path);
    return { source, name: basename(path), file: { path: await realpath(path), source } };
  }
  if (from instanceof Uint8Array) return { source: bufferSource(from), name: null, file: null };
  if (typeof from === 'object' && from !== null && Symbol.asyncIterator in from) {
    return { source: await stream(from, oneShotBytesMax), name: null, file: null };
  }
  throw new TypeError(`expected a path, bytes or a stream to send, got ${from === null ? 'null' : typeof from}`);
}

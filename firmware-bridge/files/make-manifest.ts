import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { FILE_HASH_BYTES, FILE_TABLE_HASHES, type FileManifest } from '#sdk/protocol';

/** The first 16 bytes of SHA-256 of a manifest's line, as hex: what its topics call the file. */
export function fileIdOf(line: string): string {
  return sha256(Buffer.from(line)).subarray(0, 16).toString('hex');
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export interface MadeManifest {
  line: string;
  manifest: FileManifest;
  /** The tables one after another. */
  tables: Buffer;
}

/** Reads a file once, in memory of one block, and writes down what it is. */
export async function makeManifest(
  path: string,
  about: Pick<FileManifest, 'name' | 'type' | 'block'> & Partial<FileManifest>,
): Promise<MadeManifest> {
  const handle = await open(path, 'r');
  try {
    const whole = createHash('sha256');
    const hashes: Buffer[] = [];
    const piece = Buffer.alloc(about.block);
    let size = 0;
    for (;;) {
      const bytes = piece.subarray(0, await readFull(handle, piece, size));
      if (bytes.length === 0) break;
      whole.update(bytes);
      hashes.push(sha256(bytes));
      size += bytes.length;
      if (bytes.length < piece.length) break;
    }
    const tables = Buffer.concat(hashes);
    const names: string[] = [];
    const tableBytes = FILE_TABLE_HASHES * FILE_HASH_BYTES;
    for (let at = 0; at < tables.length; at += tableBytes) {
      names.push(sha256(tables.subarray(at, at + tableBytes)).toString('hex'));
    }
    const { name, type, block, ...rest } = about;
    const manifest: FileManifest = {
      v: 1,
      name,
      type,
      size,
      sha256: whole.digest('hex'),
      block,
      tables: names,
      ...rest,
    };
    return { line: JSON.stringify(manifest), manifest, tables };
  } finally {
    await handle.close();
  }
}

async function readFull(handle: Awaited<ReturnType<typeof open>>, piece: Buffer, at: number): Promise<number> {
  let read = 0;
  while (read < piece.length) {
    const { bytesRead } = await handle.read(piece, read, piece.length - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return read;
}

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { seededBytes } from './seeded-bytes.ts';

const MIB = 1_048_576;

/** A file of `size` bytes that takes next to no room: a mebibyte of seeded bytes here and there, and at its end. */
export async function writeSparseFile(path: string, size: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.truncate(size);
    for (let i = 0; i < 16; i++) {
      const at = Math.floor(((size - MIB) / 16) * i);
      if (at >= 0) await file.write(seededBytes(MIB, i + 1), 0, MIB, at);
    }
    const end = Math.min(size, 4_099);
    await file.write(seededBytes(end, 99), 0, end, size - end);
  } finally {
    await file.close();
  }
}

export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk);
  return hash.digest('hex');
}

/** The digest of what a link gives, read as curl does. */
export async function digestOfLink(url: string): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  const response = await fetch(url, { headers: { 'user-agent': 'curl/8.0' } });
  if (response.status !== 200) throw new Error(`expected 200, got ${response.status}`);
  for await (const chunk of response.body ?? []) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest('hex'), size };
}

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Deps } from '#server';
import { sealedBytes } from '../../server/domain/upload/segments.ts';
import type { TransferRow } from '../../server/ports/tables.ts';
import { until } from './until.ts';

/** Every file below a folder, with its name: what somebody who takes the disk gets. */
export async function storedFiles(folder: string): Promise<{ path: string; bytes: Buffer }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (path) => ({ path, bytes: await readFile(path) })));
}

/** Which of the named secrets stand anywhere in the folder, in the forms text is commonly kept in. */
export async function findStored(folder: string, needles: Record<string, string | Uint8Array>): Promise<string[]> {
  const files = await storedFiles(folder);
  const found: string[] = [];
  for (const [name, needle] of Object.entries(needles)) {
    const raw = Buffer.from(needle as string);
    const forms = {
      raw,
      base64: bare(raw),
      hex: Buffer.from(raw.toString('hex')),
      utf16: Buffer.from(raw.toString(), 'utf16le'),
    };
    for (const { path, bytes } of files) {
      for (const [form, wanted] of Object.entries(forms)) {
        if (bytes.includes(wanted) || path.includes(wanted.toString('latin1')))
          found.push(`${name} as ${form} in ${path}`);
      }
    }
  }
  return found;
}

/** Base64 without the last characters, which depend on what follows. */
function bare(raw: Buffer): Buffer {
  return Buffer.from(raw.toString('base64').replace(/=+$/, '').slice(0, -1));
}

/** Every transfer's row, oldest id first. */
export function allTransfers(deps: Deps): Promise<TransferRow[]> {
  return deps.store.list('transfers', { where: [], orderBy: [['id', 'asc']], limit: 10_000 });
}

/** What is half-done: unfinished rows, bytes without a row, rows without bytes. Empty where all is in order. */
export async function halfDone(deps: Deps, options: { resumable?: boolean } = {}): Promise<string[]> {
  const wrong: string[] = [];
  if (deps.active.total !== 0) wrong.push(`${deps.active.total} uploads still under way`);
  const rows = await allTransfers(deps);
  const blobs = new Map<string, number | null>();
  for await (const id of deps.blobs.list()) blobs.set(id, await deps.blobs.size(id));
  for (const row of rows) {
    const body = await deps.store.get('bodies', { transfer_id: row.id });
    const blobBytes = blobs.get(row.id) ?? null;
    blobs.delete(row.id);
    if (row.state === 'uploading') {
      if (row.kind === 'one-shot' || options.resumable !== true)
        wrong.push(`an unfinished ${row.kind} row at ${row.offset}`);
      continue;
    }
    const whole = sealedBytes(row.size ?? 0, row.segment_bytes);
    const [inline, stored] = [body?.bytes.length ?? null, blobBytes];
    const expected = row.storage === 'inline' ? [whole, null] : row.storage === 'blob' ? [null, whole] : [null, null];
    if (inline !== expected[0] || stored !== expected[1]) {
      wrong.push(`a ${row.state} row (${row.storage}) with ${inline} bytes in the row and ${stored} in a blob`);
    }
  }
  for (const [id, size] of blobs) wrong.push(`a blob of ${size} bytes without a row (${id.slice(0, 4)}…)`);
  const { rows: bodies } = await deps.store.count('bodies', { where: [] });
  const owned = await Promise.all(rows.map((row) => deps.store.get('bodies', { transfer_id: row.id })));
  const known = owned.filter((body) => body !== null).length;
  if (bodies !== known) wrong.push(`${bodies - known} bodies without a row`);
  return wrong;
}

/** Waits until nothing is half-done and no more than `transfers` rows exist; throws with what still is. */
export async function expectNothingHalfDone(deps: Deps, transfers: number): Promise<void> {
  let seen: string[] = [];
  await until('nothing half-done', async () => {
    seen = await halfDone(deps);
    return seen.length === 0;
  }).catch((error) => {
    throw new Error(`${error.message}; still: ${seen.join('; ')}`);
  });
  const { rows } = await deps.store.count('transfers', { where: [] });
  if (rows !== transfers) throw new Error(`expected ${transfers} transfers, got ${rows}`);
}

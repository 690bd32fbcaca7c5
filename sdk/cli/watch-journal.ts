import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '#sdk/node';

/** What `watch` has sent, across restarts: a line for each, appended and synced before the file may be removed. */
export interface WatchJournal {
  has(identity: string): boolean;
  add(identity: string, id: string): Promise<void>;
  /** Keep only these: what is no longer in the folder cannot come again under its identity. */
  compact(present: ReadonlySet<string>): Promise<void>;
  close(): Promise<void>;
}

/** Lines that are not needed any more before the file is written anew. */
const STALE_LINES_MAX = 1000;

interface Line {
  identity: string;
  id: string;
}

/** A line that a power cut tore is skipped: its file is sent again under its own resume record, which gives the same transfer. */
function parseLines(text: string): Line[] {
  return text.split('\n').flatMap((line) => {
    try {
      const value = JSON.parse(line) as Partial<Line>;
      return typeof value.identity === 'string' ? [{ identity: value.identity, id: String(value.id) }] : [];
    } catch {
      return [];
    }
  });
}

export async function openWatchJournal(path: string): Promise<WatchJournal> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  let lines = new Map(parseLines(text).map((line) => [line.identity, line]));
  let handle: FileHandle = await open(path, 'a', 0o600);
  // After a torn line the next one must begin on its own.
  if (text !== '' && !text.endsWith('\n')) await handle.appendFile('\n');
  return {
    has: (identity) => lines.has(identity),
    async add(identity, id) {
      lines.set(identity, { identity, id });
      await handle.appendFile(`${JSON.stringify({ identity, id })}\n`);
      await handle.datasync();
    },
    async compact(present) {
      const kept = [...lines.values()].filter(({ identity }) => present.has(identity));
      if (lines.size - kept.length < STALE_LINES_MAX) return;
      lines = new Map(kept.map((line) => [line.identity, line]));
      await writeFileAtomic(path, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
      await handle.close();
      handle = await open(path, 'a', 0o600);
    },
    close: () => handle.close(),
  };
}

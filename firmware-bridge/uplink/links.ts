import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LinkAnswer } from '#sdk/core';

/** A batch of readings of one channel, or a file by its id. */
export type LinkedFile = { channel: string; filename: string; readings: number } | { file: string; filename: string };

/** Where the links of what was sent go: the server keeps none, so whoever is to read must get them from here. */
export interface LinkJournal {
  /** One line of JSON, durable when this resolves. `about`: what it is of, beside the device. */
  add(device: string, about: LinkedFile, link: LinkAnswer): Promise<void>;
  close(): Promise<void>;
}

/** Appends to a file (0600). Lines of one moment share a sync. A line may come twice after a crash: `id` tells. */
export async function openLinkJournal(path: string): Promise<LinkJournal> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const handle = await open(path, 'a', 0o600);
  let lines: string[] = [];
  let next: Promise<void> | null = null;
  let last: Promise<void> = Promise.resolve();
  return {
    add(device, about, { id, url, expiresAt }) {
      lines.push(`${JSON.stringify({ id, device, ...about, url, expires_at: expiresAt })}\n`);
      next ??= last.then(async () => {
        const text = lines.join('');
        lines = [];
        next = null;
        const written = (async () => {
          await handle.appendFile(text);
          await handle.datasync();
        })();
        last = written.catch(() => {});
        await written;
      });
      return next;
    },
    async close() {
      await next;
      await last;
      await handle.close();
    },
  };
}

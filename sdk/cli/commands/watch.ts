import { createHash } from 'node:crypto';
import { watch as watchFolder } from 'node:fs';
import { lstat, open, readdir, realpath, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FuselinkClient, SendOptions, SendResult } from '#sdk/node';
import { createClient, defaultStateFolder, FuselinkError } from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, exitCodeOf, UsageError } from '../exit-codes.ts';
import { isJustUp } from '../just-up.ts';
import { credentialsFor } from '../key.ts';
import type { Parsed } from '../options.ts';
import { CONNECTION_OPTIONS, connectionOf, parseDuration, SERVER_OPTIONS, serverUrl, textOption } from '../options.ts';
import { SEAL_OPTIONS, sealOptions } from '../seal-options.ts';
import type { Terminal } from '../terminal.ts';
import { plain, showBytes } from '../terminal.ts';
import type { WatchJournal } from '../watch-journal.ts';
import { openWatchJournal } from '../watch-journal.ts';
import { complaint, errorJson, resultJson } from './send.ts';

/** Names of files that are still being made by somebody. */
const UNFINISHED = /^\.|\.(part|tmp|temp|swp|crdownload|partial)$|~$/i;
/** The folder is looked through at least this often: notifications get lost (network folders, overflow). */
const SCAN_MS = 30_000;
/** After a file failed it is tried again this much later, doubling up to an hour. */
const RETRY_MS_MIN = 30_000;
const RETRY_MS_MAX = 3_600_000;

interface Found {
  path: string;
  name: string;
  identity: string;
  sizeBytes: number;
  mtimeMs: number;
}

async function scan(folder: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const name of (await readdir(folder)).sort()) {
    if (UNFINISHED.test(name)) continue;
    const path = join(folder, name);
    const stat = await lstat(path, { bigint: true }).catch(() => null);
    if (stat === null || !stat.isFile()) continue;
    const identity = `${name}|${stat.size}|${stat.mtimeNs}|${stat.ino}`;
    found.push({ path, name, identity, sizeBytes: Number(stat.size), mtimeMs: Number(stat.mtimeMs) });
  }
  return found;
}

interface Settings {
  folder: string;
  once: boolean;
  settleMs: number;
  remove: boolean;
  moveTo: string | null;
  links: string | null;
  json: boolean;
  send: SendOptions;
}

function settingsOf(parsed: Parsed, terminal: Terminal): Settings {
  const [folder, ...rest] = parsed.words;
  if (folder === undefined || rest.length > 0) throw new UsageError('expected one folder');
  const ttl = textOption(parsed, 'ttl');
  const remove = parsed.values['delete'] === true;
  const moveTo = textOption(parsed, 'move') ?? null;
  if (remove && moveTo !== null) throw new UsageError('--delete or --move, not both');
  return {
    folder,
    once: parsed.values['once'] === true,
    settleMs: parseDuration(textOption(parsed, 'settle') ?? '2', '--settle') * 1000,
    remove,
    moveTo,
    links: textOption(parsed, 'links') ?? null,
    json: parsed.values['json'] === true,
    send: {
      recipient: textOption(parsed, 'recipient'),
      note: textOption(parsed, 'note'),
      ttlSeconds: ttl === undefined ? undefined : parseDuration(ttl, '--ttl'),
      // Once, and by hand: say soon what is wrong. As a service: the file is on disk, so time is not short.
      giveUpAfterMs: parsed.values['once'] === true ? 60_000 : null,
      whenRefused: parsed.values['once'] === true ? 'fail' : 'wait',
      signal: terminal.signal,
    },
  };
}

/** Sends what appears in one folder, one file after the other. */
class Watcher {
  readonly #settings: Settings;
  readonly #terminal: Terminal;
  readonly #client: FuselinkClient;
  readonly #journal: WatchJournal;
  /** Size and mtime of the last look, and when they were first so. */
  #seen = new Map<string, number>();
  readonly #retries = new Map<string, { atMs: number; waitMs: number }>();
  exit: ExitCode = EXIT.ok.code;

  constructor(settings: Settings, terminal: Terminal, client: FuselinkClient, journal: WatchJournal) {
    this.#settings = settings;
    this.#terminal = terminal;
    this.#client = client;
    this.#journal = journal;
  }

  /** One look at the folder. Returns in how many ms the next is wanted. */
  async pass(): Promise<number> {
    const { settleMs, once } = this.#settings;
    const found = await scan(this.#settings.folder);
    await this.#journal.compact(new Set(found.map(({ identity }) => identity)));
    const now = this.#terminal.nowMs();
    this.#seen = new Map(found.map(({ identity }) => [identity, this.#seen.get(identity) ?? now]));
    let nextMs = SCAN_MS;
    for (const file of found) {
      if (this.#terminal.signal.aborted) break;
      if (this.#journal.has(file.identity)) {
        await this.#dispose(file);
        continue;
      }
      const quietMs = this.#terminal.nowMs() - (this.#seen.get(file.identity) ?? now);
      const retry = this.#retries.get(file.identity);
      const waitMs = Math.max(
        once ? 0 : settleMs - quietMs,
        retry === undefined ? 0 : retry.atMs - this.#terminal.nowMs(),
      );
      if (waitMs > 0) nextMs = Math.min(nextMs, waitMs);
      else await this.#send(file);
    }
    return Math.max(10, nextMs);
  }

  async #send(file: Found): Promise<void> {
    const { json, send } = this.#settings;
    try {
      const onStored = (result: SendResult) => this.#note(file, result);
      const result = await this.#client.send(file.path, { ...send, onStored });
      this.#retries.delete(file.identity);
      // The log of a service is read by many: a link only goes where --links says.
      const shown = this.#settings.links === null ? result : { ...result, url: null };
      const text = `${file.name}: ${showBytes(result.sizeBytes)} ${shown.url ?? result.id}`;
      this.#terminal.stdout.write(`${json ? resultJson(file.path, shown) : plain(text)}\n`);
      await this.#dispose(file);
    } catch (error) {
      if (this.#terminal.signal.aborted) return;
      if (this.exit === EXIT.ok.code) this.exit = exitCodeOf(error);
      const waitMs = Math.min(RETRY_MS_MAX, (this.#retries.get(file.identity)?.waitMs ?? RETRY_MS_MIN / 2) * 2);
      this.#retries.set(file.identity, { atMs: this.#terminal.nowMs() + waitMs, waitMs });
      if (json) this.#terminal.stdout.write(`${errorJson(file.path, error)}\n`);
      this.#terminal.stderr.write(`${plain(complaint(file.path, error))}\n`);
    }
  }

  async #note(file: Found, result: SendResult): Promise<void> {
    const { links } = this.#settings;
    if (links !== null) {
      const handle = await open(links, 'a', 0o600);
      try {
        await handle.appendFile(`${resultJson(file.path, result)}\n`);
        await handle.datasync();
      } finally {
        await handle.close();
      }
    }
    await this.#journal.add(file.identity, result.id);
  }

  async #dispose(file: Found): Promise<void> {
    const { remove, moveTo } = this.#settings;
    if (!remove && moveTo === null) return;
    // It may have been replaced since it was sent: only what was sent goes.
    const now = (await scan(this.#settings.folder)).find(({ name }) => name === file.name);
    if (now?.identity !== file.identity) return;
    try {
      if (remove) await unlink(file.path);
      else await rename(file.path, join(moveTo ?? '', file.name));
    } catch (error) {
      this.#terminal.stderr.write(
        `${plain(`${file.path}: sent, but it cannot be put away: ${(error as Error).message}`)}\n`,
      );
    }
  }
}

/** Resolves after `ms`, when the folder changes, or when the signal says so. */
function waitForChange(folder: string, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const watcher = (() => {
      try {
        return watchFolder(folder, () => end());
      } catch {
        // No notifications here: looking through it now and then is enough.
        return null;
      }
    })();
    const timer = setTimeout(() => end(), ms);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      watcher?.close();
      resolve();
    }
    watcher?.on('error', () => {});
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** After a line that a power cut tore, the next one must begin on its own. Makes the file (0600) where there is none. */
async function endTornLine(path: string): Promise<void> {
  const handle = await open(path, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const last = Buffer.alloc(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    if (size > 0 && last[0] !== 10) await handle.appendFile('\n');
  } finally {
    await handle.close();
  }
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  const given = settingsOf(parsed, terminal);
  const settings: Settings = { ...given, send: { ...given.send, seal: await sealOptions(parsed, terminal) } };
  const folder = await realpath(settings.folder).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  const url = serverUrl(parsed, terminal);
  if (settings.links !== null) await endTornLine(settings.links);
  const name = createHash('sha256').update(`${url}\n${folder}`).digest('hex').slice(0, 40);
  const journal = await openWatchJournal(join(defaultStateFolder(terminal.env), 'watch', `${name}.ndjson`));
  const client = createClient({
    url,
    ...credentialsFor(parsed, terminal),
    ...connectionOf(parsed, terminal),
    afterOutage: !settings.once && isJustUp(),
  });
  client.on('retrying', ({ filename, detail, waitMs }) => {
    terminal.stderr.write(
      `${plain(filename)}: ${plain(detail)}; trying again in ${Math.max(1, Math.round(waitMs / 1000))} s\n`,
    );
  });
  const watcher = new Watcher({ ...settings, folder }, terminal, client, journal);
  try {
    for (;;) {
      const nextMs = await watcher.pass();
      if (settings.once) return terminal.signal.aborted ? EXIT.interrupted.code : watcher.exit;
      await waitForChange(folder, nextMs, terminal.signal);
      if (terminal.signal.aborted) return EXIT.interrupted.code;
    }
  } catch (error) {
    if (error instanceof FuselinkError || !(error instanceof Error)) throw error;
    throw new FuselinkError('source_unreadable', error.message, { cause: error });
  } finally {
    await client.close();
    await journal.close();
  }
}

export const watch: Command = {
  name: 'watch',
  words: 'DIR',
  summary: 'Send what appears in a folder, once each, across restarts.',
  options: {
    ...SERVER_OPTIONS,
    recipient: { type: 'string', value: 'WHO', help: 'whom the files are for' },
    ttl: { type: 'string', value: 'DURATION', help: 'how long the links live (default 24h)' },
    note: { type: 'string', value: 'TEXT', help: 'a line for the receiver' },
    ...SEAL_OPTIONS,
    settle: {
      type: 'string',
      value: 'DURATION',
      help: 'a file is sent when it has not changed for so long (default 2s)',
    },
    delete: { type: 'boolean', help: 'delete each file once the server has it' },
    move: { type: 'string', value: 'DIR', help: 'move each file there once the server has it (same disk)' },
    links: { type: 'string', value: 'FILE', help: 'append the links there (0600) and keep them out of the output' },
    once: { type: 'boolean', help: 'send what is there now, and end' },
    ca: CONNECTION_OPTIONS.ca,
    proxy: CONNECTION_OPTIONS.proxy,
    json: CONNECTION_OPTIONS.json,
  },
  details: [
    'Hidden files and those that end in .part, .tmp, .swp or ~ are left alone, and so are folders. A file that changes\nafter it was sent is sent again. Ends on SIGTERM; what was under way goes on at the next start\n(a file that is sealed begins afresh then, under a new key).',
  ],
  run,
};

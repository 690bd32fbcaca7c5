import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LinkAnswer } from '#sdk/core';
import { FuselinkError, writeFileAtomic } from '#sdk/node';
import { FILE_MANIFEST_BYTES_MAX, type FileManifest, type FileState, parseFileManifest } from '#sdk/protocol';
import { isDeviceId } from '../broker/topics.ts';
import type { ControlMessage, Publish } from '../control/control.ts';
import type { Ahead, AheadOptions } from './ahead.ts';
import type { FileLimits } from './file-limits.ts';
import { FileReceiver } from './file-receiver.ts';
import { fileIdOf } from './make-manifest.ts';

export interface FileDeskOptions {
  /** A folder a device below it, and in that one a file. */
  folder: string;
  limits: FileLimits;
  /** What sends the beginning of a file on while it is still coming. */
  ahead(device: string, file: WholeFile, of: Pick<AheadOptions, 'ready' | 'read' | 'moved'>): Promise<Ahead>;
  /** Sends a whole file; resolves when the server has it. Tries for as long as it takes. */
  send(device: string, file: WholeFile): Promise<LinkAnswer>;
  /** Its link, written down before the file is forgotten. */
  sent(device: string, file: WholeFile, link: LinkAnswer): Promise<void>;
  count(name: string, label?: string): void;
  note(detail: string): void;
  nowMs?: () => number;
}

/** A file that is here, whole, and as its manifest says. */
export interface WholeFile {
  id: string;
  path: string;
  /** Of its own, for what the sending has to remember. */
  folder: string;
  manifest: FileManifest;
  /** Bytes of its beginning that are on the server and not here. */
  elsewhere: number;
}

interface Intake {
  receiver: FileReceiver;
  /** Sends on what is here of it. */
  ahead: Ahead;
  whole: boolean;
  /** Whether the server was asked what it has of it, in this run. */
  asked: boolean;
}

/** What became of a file is known for so many files of a device after it is gone from here. */
const DONE_MAX = 200;
const SEND_AGAIN_MS = 60_000;
/** Stands in the folder of a file that is whole. */
const WHOLE_MARK = 'whole';

/**
 * Files from devices: received in blocks of which each is checked as it comes, and passed on to the server when all of it
 * is here and is what was announced. Everything is on the disk; a restart goes on where it stood.
 */
export class FileDesk {
  readonly #options: FileDeskOptions;
  readonly #intakes = new Map<string, Promise<Intake>>();
  readonly #sending = new Set<string>();
  readonly #stopPauses: (() => void)[] = [];
  readonly #replies = new Map<string, Publish>();
  #closed = false;

  private constructor(options: FileDeskOptions) {
    this.#options = options;
  }

  /** Takes up what earlier runs left behind. */
  static async open(options: FileDeskOptions): Promise<FileDesk> {
    const desk = new FileDesk(options);
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    for (const device of await folders(options.folder)) {
      if (!isDeviceId(device)) continue;
      await desk.#forgetAbandoned(device);
      for (const id of await folders(join(options.folder, device))) {
        const path = join(options.folder, device, id);
        if ((await readFile(join(path, WHOLE_MARK)).catch(() => null)) === null) continue;
        const line = await readFile(join(path, 'manifest'), 'utf8').catch(() => '');
        const manifest = parseFileManifest(line, options.limits.fileBytesMax);
        if (typeof manifest !== 'string') desk.#pass(device, desk.#fileOf(device, id, manifest));
      }
    }
    return desk;
  }

  /** Files that are whole and not on the server yet. */
  get backlog(): number {
    return this.#sending.size;
  }

  /** Takes `up/file/<id>/manifest`, `/ask` or `/<sha256>`. Resolves when what it brought is in the file. */
  async control(message: ControlMessage): Promise<void> {
    const [, , id = '', what = ''] = message.topic.split('/');
    const { device, payload, reply } = message;
    const name = `${device}/${id}`;
    this.#replies.set(name, reply);
    const tell = (state: FileState) => reply(device, `down/file/${id}/state`, JSON.stringify(state));
    if (what === 'manifest') {
      const begun = await this.#begin(device, id, payload.toString('utf8'));
      tell(this.#told('receiver' in begun ? await this.#upToDate(device, id, begun) : begun));
      return;
    }
    let known = await this.#known(device, id);
    if ('receiver' in known && (!known.asked || known.receiver.isWhole))
      known = await this.#upToDate(device, id, known);
    if (!('receiver' in known)) {
      // A block for a file of which only the end is known comes too late, and says nothing new.
      if (what === 'ask' || known.state === 'unknown') tell(known);
      return;
    }
    if (what === 'ask') {
      tell(this.#told(known));
      return;
    }
    const outcome = await known.receiver.take(what, payload);
    this.#options.count('file_parts', outcome);
    if (outcome !== 'taken') return;
    if (known.receiver.isWhole && !known.whole) tell(await this.#finish(device, id, known));
    else known.ahead.came();
  }

  /** What is on its way to the server is ended by whoever sends it. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#stopPauses) stop();
    for (const intake of this.#intakes.values()) {
      const open = await intake.catch(() => null);
      await open?.ahead.close();
      await open?.receiver.close();
    }
  }

  #told(known: Intake | FileState): FileState {
    if (!('receiver' in known)) return known;
    if (!known.whole) return known.receiver.state();
    return { state: known.receiver.bytesElsewhere > 0 ? 'passing' : 'complete' };
  }

  /** A manifest came: the file it is of, or why it is not taken. */
  async #begin(device: string, id: string, line: string): Promise<Intake | FileState> {
    const known = await this.#known(device, id);
    if ('receiver' in known || known.state !== 'unknown') return known;
    const { limits, count } = this.#options;
    const refuse = (reason: string): FileState => {
      count('refused_files', reason.split(':')[0]);
      return { state: 'refused', reason };
    };
    if (line.length > FILE_MANIFEST_BYTES_MAX || fileIdOf(line) !== id) return refuse('manifest: not of this id');
    const manifest = parseFileManifest(line, limits.fileBytesMax);
    if (typeof manifest === 'string') return refuse(`manifest: ${manifest}`);
    await this.#forgetAbandoned(device);
    const others = await this.#announced(device);
    const bytes = others.reduce((sum, size) => sum + size, manifest.size);
    if (bytes > limits.bytesPerDeviceMax) return refuse(`quota: expected at most ${limits.bytesPerDeviceMax} bytes`);
    if (others.length >= limits.filesPerDeviceMax)
      return refuse(`quota: expected at most ${limits.filesPerDeviceMax} files`);
    const opening = this.#open(device, id, line, manifest);
    this.#intakes.set(`${device}/${id}`, opening);
    opening.catch(() => this.#intakes.delete(`${device}/${id}`));
    return opening;
  }

  /** What the server has of a file need not come again; where it has all of it, or what is here is the rest, it ends. */
  async #upToDate(device: string, id: string, intake: Intake): Promise<Intake | FileState> {
    if (intake.whole) return intake;
    intake.asked = true;
    const standing = await intake.ahead.look();
    if (intake.whole) return intake;
    if (standing.state === 'stored') {
      intake.whole = true;
      await intake.ahead.stop();
      const file = this.#fileOf(device, id, intake.receiver.manifest);
      if (standing.link !== null) await this.#options.sent(device, file, standing.link);
      await this.#stored(device, file, standing.id);
      return { state: 'stored', id: standing.id };
    }
    return intake.receiver.isWhole ? this.#finish(device, id, intake) : intake;
  }

  /** A file that is being received here, from memory or from the disk; else what is known of it. */
  async #known(device: string, id: string): Promise<Intake | FileState> {
    const name = `${device}/${id}`;
    const open = this.#intakes.get(name);
    if (open !== undefined) return open;
    const done = await readFile(join(this.#options.folder, device, `${id}.done`), 'utf8').catch(() => null);
    if (done !== null) return { state: 'stored', id: done };
    const line = await readFile(join(this.#options.folder, device, id, 'manifest'), 'utf8').catch(() => null);
    const manifest = line === null ? 'none' : parseFileManifest(line, this.#options.limits.fileBytesMax);
    if (line === null || typeof manifest === 'string') return { state: 'unknown' };
    // Somebody else may have begun to open it meanwhile.
    const opening = this.#intakes.get(name) ?? this.#open(device, id, line, manifest);
    this.#intakes.set(name, opening);
    return opening;
  }

  async #open(device: string, id: string, line: string, manifest: FileManifest): Promise<Intake> {
    const folder = join(this.#options.folder, device, id);
    const receiver = await FileReceiver.open(folder, line, manifest);
    const whole = (await readFile(join(folder, WHOLE_MARK)).catch(() => null)) !== null;
    return { receiver, ahead: await this.#aheadOf(device, id, receiver), whole, asked: false };
  }

  #aheadOf(device: string, id: string, receiver: FileReceiver): Promise<Ahead> {
    return this.#options.ahead(device, this.#fileOf(device, id, receiver.manifest), {
      ready: () => receiver.bytesAhead,
      read: (from, bytes) => receiver.read(from, bytes),
      moved: (offset) => receiver.elsewhere(offset),
    });
  }

  #fileOf(device: string, id: string, manifest: FileManifest, elsewhere = 0): WholeFile {
    const folder = join(this.#options.folder, device, id);
    return { id, path: join(folder, 'data'), folder, manifest, elsewhere };
  }

  /** All of it is here: it goes on to the server, unless the whole is not what was announced. */
  async #finish(device: string, id: string, intake: Intake): Promise<FileState> {
    const { folder, count } = this.#options;
    const path = join(folder, device, id);
    const { receiver, ahead } = intake;
    intake.whole = true;
    if (receiver.bytesElsewhere > 0) {
      // The whole is nowhere but on the server, which holds it against the announced digest before it counts.
      await ahead.stop();
      this.#pass(device, this.#fileOf(device, id, receiver.manifest, receiver.bytesElsewhere));
      return { state: 'passing' };
    }
    if (!(await receiver.finish())) {
      count('refused_files', 'digest');
      this.#intakes.delete(`${device}/${id}`);
      await ahead.giveUp();
      await receiver.close();
      await rm(path, { recursive: true, force: true });
      return { state: 'refused', reason: 'digest: the whole file is not what its manifest says' };
    }
    await writeFileAtomic(join(path, WHOLE_MARK), '');
    await ahead.stop();
    this.#pass(device, this.#fileOf(device, id, receiver.manifest));
    return { state: 'complete' };
  }

  #pass(device: string, file: WholeFile): void {
    const name = `${device}/${file.id}`;
    if (this.#sending.has(name)) return;
    this.#sending.add(name);
    void this.#send(device, file)
      .finally(() => this.#sending.delete(name))
      .then((gone) => (gone ? this.#comeAgain(device, file) : undefined))
      .catch((error: unknown) =>
        this.#options.note(`${name}: ${error instanceof Error ? error.message : String(error)}`),
      );
  }

  /** The beginning that another gateway had sent on is gone from the server: the device is asked for it. */
  async #comeAgain(device: string, { id }: WholeFile): Promise<void> {
    const intake = await this.#intakes.get(`${device}/${id}`);
    if (intake === undefined || this.#closed) return;
    intake.receiver.elsewhere(0);
    intake.ahead = await this.#aheadOf(device, id, intake.receiver);
    intake.whole = false;
    const state = JSON.stringify(intake.receiver.state());
    this.#replies.get(`${device}/${id}`)?.(device, `down/file/${id}/state`, state);
  }

  /**
   * Until it is there: what only a person can mend is tried again slowly, and nothing is forgotten meanwhile. True where
   * it cannot be ended from here, because its beginning is gone from the server.
   */
  async #send(device: string, file: WholeFile): Promise<boolean> {
    const { send, sent, note, count } = this.#options;
    while (!this.#closed) {
      try {
        const link = await send(device, file);
        await sent(device, file, link);
        await this.#stored(device, file, link.id);
        count('files_sent');
        return false;
      } catch (error) {
        if (this.#closed) return false;
        if (file.elsewhere > 0 && error instanceof FuselinkError && error.code === 'source_rewound') return true;
        note(`${device}: file ${file.id} was not sent: ${error instanceof Error ? error.message : String(error)}`);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, SEND_AGAIN_MS);
          this.#stopPauses.push(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
    }
    return false;
  }

  /** The server has it: that is remembered, the file is not. */
  async #stored(device: string, file: WholeFile, transferId: string): Promise<void> {
    const name = `${device}/${file.id}`;
    await writeFileAtomic(join(this.#options.folder, device, `${file.id}.done`), transferId);
    const intake = await this.#intakes.get(name);
    this.#intakes.delete(name);
    await intake?.receiver.close();
    await rm(file.folder, { recursive: true, force: true });
    await this.#trimDone(device);
    const state: FileState = { state: 'stored', id: transferId };
    this.#replies.get(name)?.(device, `down/file/${file.id}/state`, JSON.stringify(state));
    this.#replies.delete(name);
  }

  /** Sizes of the files that are not on the server yet, as announced. */
  async #announced(device: string): Promise<number[]> {
    const path = join(this.#options.folder, device);
    const sizes: number[] = [];
    for (const id of await folders(path)) {
      const line = await readFile(join(path, id, 'manifest'), 'utf8').catch(() => '');
      const manifest = parseFileManifest(line, this.#options.limits.fileBytesMax);
      sizes.push(typeof manifest === 'string' ? 0 : manifest.size);
    }
    return sizes;
  }

  async #forgetAbandoned(device: string): Promise<void> {
    const path = join(this.#options.folder, device);
    const nowMs = (this.#options.nowMs ?? Date.now)();
    for (const id of await folders(path)) {
      const data = await stat(join(path, id, 'data')).catch(() => null);
      const whole = await stat(join(path, id, WHOLE_MARK)).catch(() => null);
      if (whole !== null || (data !== null && nowMs - data.mtimeMs < this.#options.limits.abandonedSeconds * 1000))
        continue;
      const open = await this.#intakes.get(`${device}/${id}`)?.catch(() => undefined);
      this.#intakes.delete(`${device}/${id}`);
      await open?.ahead.close();
      await open?.receiver.close();
      await rm(join(path, id), { recursive: true, force: true });
      this.#options.count('refused_files', 'abandoned');
    }
  }

  async #trimDone(device: string): Promise<void> {
    const path = join(this.#options.folder, device);
    const done = (await readdir(path)).filter((name) => name.endsWith('.done'));
    if (done.length <= DONE_MAX) return;
    const aged = await Promise.all(done.map(async (name) => ({ name, atMs: (await stat(join(path, name))).mtimeMs })));
    aged.sort((a, b) => a.atMs - b.atMs);
    for (const { name } of aged.slice(0, done.length - DONE_MAX)) await rm(join(path, name), { force: true });
  }
}

async function folders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

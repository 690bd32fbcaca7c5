import { FILE_TABLES_TOLD_MAX, type FileState, parseFileManifest } from '#sdk/protocol';
import type { ControlMessage, Publish } from '../control/control.ts';
import type { FileLimits } from './file-limits.ts';
import { nextParts } from './file-sender.ts';
import { fileIdOf, type MadeManifest } from './make-manifest.ts';

/** A file that is here, ready to be sent to a device. */
export interface Outgoing extends MadeManifest {
  path: string;
  /** Base64 of the signature over an image's manifest; null for other files. */
  signature: string | null;
}

/** Something a device is to get: where it comes from, and whom to tell what became of it. */
export interface Errand {
  /** Names it at this gateway, for ever. */
  key: string;
  device: string;
  /** Brings the file here, or finds it here. Rejects where it cannot be had now; it is asked for again. */
  bring(): Promise<Outgoing>;
  /** The device has all of it. Rejects where that could not be told on; it is told again. */
  arrived(): Promise<void>;
  /** The device does not want it. */
  refused(reason: string): Promise<void>;
  /** It is no longer wanted, or over: what lies here of it may go. */
  forget(): Promise<void>;
}

export interface OutboxOptions {
  limits: FileLimits;
  publish: Publish;
  count(name: string, label?: string): void;
  note(detail: string): void;
}

interface Push {
  errand: Errand;
  outgoing: Outgoing | null;
  /** Of the file, once it is known. */
  id: string;
  state: 'bringing' | 'offered' | 'sending' | 'over';
  timer: NodeJS.Timeout | null;
  silences: number;
}

/** Pushes at once: each holds its tables, 32 bytes a block. */
const PUSHES_MAX = 1000;
const SILENCE_MS_MAX = 600_000;
const BRING_AGAIN_MS = 15_000;

/**
 * Files for devices. A device is told of its file until it says what it lacks; then it is sent that, a window at a time,
 * and asked again. What it has is its own to say: a reboot of either side, and another gateway, go on from there.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #pushes = new Map<string, Push>();
  #closed = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#pushes.size;
  }

  /** All that is to be delivered now: what is new is begun, what is no longer wanted is let go of. */
  show(errands: readonly Errand[]): void {
    if (this.#closed) return;
    const wanted = new Set(errands.map(({ key }) => key));
    for (const [key, push] of this.#pushes) {
      if (wanted.has(key)) continue;
      this.#end(push);
      this.#pushes.delete(key);
      void push.errand.forget().catch((error: unknown) => this.#options.note(`${key}: ${String(error)}`));
    }
    for (const errand of errands) {
      if (this.#pushes.has(errand.key) || this.#pushes.size >= PUSHES_MAX) continue;
      const push: Push = { errand, outgoing: null, id: '', state: 'bringing', timer: null, silences: 0 };
      this.#pushes.set(errand.key, push);
      void this.#bring(push);
    }
  }

  /** The device listens (again): it is told of its files now and not only when its turn comes. */
  listens(device: string): void {
    for (const push of this.#pushes.values()) {
      if (push.errand.device !== device || push.outgoing === null || push.state === 'over') continue;
      push.silences = 0;
      this.#offer(push);
    }
  }

  /** Takes `up/file/<id>/state`. */
  async control({ device, topic, payload }: ControlMessage): Promise<void> {
    const id = topic.split('/')[2] ?? '';
    const push = [...this.#pushes.values()].find((one) => one.id === id && one.errand.device === device);
    if (push === undefined || push.state === 'over') return;
    const state = stateOf(payload);
    if (state === null) {
      this.#options.count('refused_messages', 'state');
      return;
    }
    push.silences = 0;
    if (state.state === 'unknown') this.#offer(push);
    else if (state.state === 'receiving') await this.#send(push, state);
    else if (state.state === 'complete') await this.#over(push, () => push.errand.arrived(), 'files_delivered');
    else if (state.state === 'refused') {
      const reason = (state.reason ?? 'no reason').slice(0, 200);
      await this.#over(push, () => push.errand.refused(reason), 'files_refused');
    }
  }

  close(): void {
    this.#closed = true;
    for (const push of this.#pushes.values()) this.#end(push);
  }

  async #bring(push: Push): Promise<void> {
    const { errand } = push;
    try {
      const outgoing = await errand.bring();
      if (push.state === 'over' || this.#closed) return;
      push.outgoing = outgoing;
      push.id = fileIdOf(outgoing.line);
      this.#offer(push);
    } catch (error) {
      if (push.state === 'over' || this.#closed) return;
      this.#options.note(`${errand.key}: cannot be had now: ${error instanceof Error ? error.message : String(error)}`);
      this.#after(push, BRING_AGAIN_MS, () => void this.#bring(push));
    }
  }

  #offer(push: Push): void {
    const { outgoing, errand, id } = push;
    if (outgoing === null) return;
    push.state = 'offered';
    const text = outgoing.signature === null ? outgoing.line : `${outgoing.line}\n${outgoing.signature}`;
    this.#options.publish(errand.device, `down/file/${id}/manifest`, text);
    this.#awaitAnswer(push);
  }

  async #send(push: Push, state: FileState): Promise<void> {
    const { outgoing, errand, id } = push;
    // One window at a time: what it asks for twice meanwhile is on its way.
    if (outgoing === null || push.state === 'sending') return;
    push.state = 'sending';
    const { limits, publish, count } = this.#options;
    for await (const { hash, bytes } of nextParts(outgoing.path, outgoing, state, limits.windowBytes)) {
      if (this.#closed) return;
      publish(errand.device, `down/file/${id}/${hash}`, bytes);
      count('file_parts_sent');
    }
    push.state = 'offered';
    publish(errand.device, `down/file/${id}/ask`, '');
    this.#awaitAnswer(push);
  }

  async #over(push: Push, tell: () => Promise<void>, counter: string): Promise<void> {
    this.#end(push);
    try {
      await tell();
      this.#options.count(counter);
      // It stays known as over until the server no longer wants it delivered.
    } catch (error) {
      this.#options.note(`${push.errand.key}: ${error instanceof Error ? error.message : String(error)}`);
      push.state = 'offered';
      this.#awaitAnswer(push);
    }
  }

  #awaitAnswer(push: Push): void {
    const waitMs = Math.min(SILENCE_MS_MAX, this.#options.limits.silenceMs * 2 ** Math.min(push.silences, 10));
    this.#after(push, waitMs, () => {
      push.silences += 1;
      this.#offer(push);
    });
  }

  #after(push: Push, ms: number, action: () => void): void {
    if (push.timer !== null) clearTimeout(push.timer);
    if (!this.#closed) push.timer = setTimeout(action, ms);
  }

  #end(push: Push): void {
    push.state = 'over';
    if (push.timer !== null) clearTimeout(push.timer);
  }
}

const STATES: readonly string[] = ['unknown', 'receiving', 'complete', 'refused'];

function stateOf(payload: Buffer): FileState | null {
  if (payload.length > 4096) return null;
  try {
    const said = JSON.parse(payload.toString('utf8')) as FileState;
    const { state, tables = [], from = 0, bits = '' } = said;
    const sound =
      STATES.includes(state) &&
      Array.isArray(tables) &&
      tables.length <= FILE_TABLES_TOLD_MAX &&
      tables.every((one) => Number.isInteger(one) && one >= 0) &&
      Number.isInteger(from) &&
      from >= 0 &&
      typeof bits === 'string';
    return sound ? said : null;
  } catch {
    return null;
  }
}

/** The manifest of a line that this gateway made or the server gave. Throws where it is none. */
export function manifestOf(line: string, sizeMax: number) {
  const manifest = parseFileManifest(line, sizeMax);
  if (typeof manifest === 'string') throw new Error(`a manifest is not sound: ${manifest}`);
  return manifest;
}

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileManifest, type FileState, parseFileManifest } from '#sdk/protocol';
import { FileReceiver } from '../files/file-receiver.ts';
import { nextParts } from '../files/file-sender.ts';
import { fileIdOf, makeManifest } from '../files/make-manifest.ts';
import type { MqttDevice } from './mqtt-device.ts';

const SILENCE_MS = 300;

export interface SendOptions {
  name: string;
  block: number;
  windowBytes?: number;
  n?: string;
  /** Called before each part; what it throws is the power going. */
  before?(part: number): void;
}

/** The reference of a device's side: sends a file until the server has it. Holds nothing: it can begin anywhere. */
export async function sendFileOverMqtt(device: MqttDevice, path: string, options: SendOptions): Promise<FileState> {
  const { name, block, n, windowBytes = 65_536, before } = options;
  const made = await makeManifest(path, {
    name,
    type: 'application/octet-stream',
    block,
    ...(n === undefined ? {} : { n }),
  });
  const id = fileIdOf(made.line);
  let parts = 0;
  await device.publish(`up/file/${id}/manifest`, made.line);
  for (;;) {
    const state = await device.fileState(id, SILENCE_MS);
    if (state === null) {
      await device.publish(`up/file/${id}/ask`, '');
      continue;
    }
    if (state.state === 'stored' || state.state === 'refused') return state;
    if (state.state === 'unknown') await device.publish(`up/file/${id}/manifest`, made.line);
    if (state.state !== 'receiving') continue;
    for await (const { hash, bytes } of nextParts(path, made, state, windowBytes)) {
      before?.(parts++);
      await device.publish(`up/file/${id}/${hash}`, bytes);
    }
    await device.publish(`up/file/${id}/ask`, '');
  }
}

/** The reference of a device that is sent files: each comes together in a folder, and is there again after a boot. */
export class DeviceInbox {
  readonly #device: MqttDevice;
  readonly #folder: string;
  readonly #files = new Map<string, FileReceiver>();
  readonly whole: { id: string; manifest: FileManifest; path: string }[] = [];
  /** Whether an image may be taken: it has to verify the signature. */
  accepts: (line: string, manifest: FileManifest, signature: string | undefined) => string | null = () => null;
  /** Called when a file is whole, before the gateway is told so. */
  came: (file: { id: string; manifest: FileManifest; path: string }) => void = () => {};
  /** Called with each part before it is taken; what it throws is the power going. */
  before: (part: number) => void = () => {};
  /** Parts that came before their manifest was accepted. */
  strays = 0;
  #parts = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(device: MqttDevice, folder: string) {
    this.#device = device;
    this.#folder = folder;
    device.whenCut = () => {
      this.#turn = this.#turn.then(async () => {
        for (const receiver of this.#files.values()) await receiver.close();
        this.#files.clear();
      });
    };
    device.onFile = (topic, payload) => {
      this.#turn = this.#turn.then(() => this.#take(topic, payload)).catch(() => {});
    };
  }

  get idle(): Promise<void> {
    return this.#turn;
  }

  async #take(topic: string, payload: Buffer): Promise<void> {
    const [, , id = '', what = ''] = topic.split('/');
    if (what === 'state') return;
    if (what === 'manifest') return this.#begin(id, payload.toString('utf8'));
    const receiver = this.#files.get(id);
    if (receiver === undefined) {
      if (what !== 'ask') this.strays += 1;
      return this.#tell(id, { state: 'unknown' });
    }
    if (what !== 'ask') {
      this.before(this.#parts++);
      await receiver.take(what, payload);
      return;
    }
    await this.#progress(id, receiver);
  }

  async #begin(id: string, text: string): Promise<void> {
    const [line = '', signature] = text.split('\n');
    const manifest = parseFileManifest(line, 2 ** 30);
    if (typeof manifest === 'string' || fileIdOf(line) !== id)
      return this.#tell(id, { state: 'refused', reason: 'manifest' });
    const refusal = this.accepts(line, manifest, signature);
    if (refusal !== null) return this.#tell(id, { state: 'refused', reason: refusal });
    if (!this.#files.has(id)) this.#files.set(id, await FileReceiver.open(join(this.#folder, id), line, manifest));
    await this.#progress(id, this.#files.get(id) as FileReceiver);
  }

  async #progress(id: string, receiver: FileReceiver): Promise<void> {
    if (!receiver.isWhole) return this.#tell(id, receiver.state());
    if (!(await receiver.finish())) {
      this.#files.delete(id);
      await rm(join(this.#folder, id), { recursive: true, force: true });
      return this.#tell(id, { state: 'refused', reason: 'digest' });
    }
    if (!this.whole.some((one) => one.id === id)) {
      const file = { id, manifest: receiver.manifest, path: receiver.dataPath };
      this.whole.push(file);
      this.came(file);
    }
    await this.#tell(id, { state: 'complete' });
  }

  #tell(id: string, state: FileState): Promise<void> {
    return this.#device.publish(`up/file/${id}/state`, JSON.stringify(state));
  }
}

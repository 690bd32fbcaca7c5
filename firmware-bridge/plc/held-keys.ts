import { createHash, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseApiKey } from '#sdk/core';
import { apiUrl, openCredentialSlots, openRotation, ROTATING, type Rotation, type Transport } from '#sdk/node';

export interface PlcConfig {
  device: string;
  /** Its first key, read once: afterwards the gateway's own store has it, and every one that follows. */
  keyFile: string;
  /** What it signs in with at our own broker, where it signs in at all; null: it comes through another broker. */
  passwordFile: string | null;
}

export interface HeldKeysOptions {
  plcs: readonly PlcConfig[];
  folder: string;
  base: URL;
  transport: Transport;
  warn(detail: string): void;
}

interface Held {
  rotation: Rotation;
  password: string | null;
}

/**
 * Keys of devices that cannot hold one: the gateway has one for each, in a store of its own, sends what comes from the
 * device under it, and rotates it like every other device's. What stands between such a device and the gateway is a LAN
 * and, at best, a password; so the server is told, and shows it.
 */
export class HeldKeys {
  readonly #options: HeldKeysOptions;
  readonly #held = new Map<string, Held>();

  private constructor(options: HeldKeysOptions) {
    this.#options = options;
  }

  /** Throws where a store has no key and the file has none either; nothing of the file enters a message. */
  static async open(options: HeldKeysOptions): Promise<HeldKeys> {
    const keys = new HeldKeys(options);
    for (const plc of options.plcs) keys.#held.set(plc.device, await keys.#open(plc));
    return keys;
  }

  get devices(): string[] {
    return [...this.#held.keys()];
  }

  /** Sends as this device, with its present key; null where it holds its key itself. */
  transportOf(device: string): Transport | null {
    return this.#held.get(device)?.rotation.transport ?? null;
  }

  /** Whether this is the password of a device whose key is held here; null where it is not one of them. */
  signsIn(device: string, password: Uint8Array | undefined): boolean | null {
    const held = this.#held.get(device);
    if (held === undefined) return null;
    if (held.password === null || password === undefined) return false;
    const digest = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();
    return timingSafeEqual(digest(held.password), digest(password));
  }

  /** The server wants something of these devices' keys: each is asked about, and the answer moves its rotation. */
  async look(devices: readonly string[]): Promise<void> {
    for (const device of devices) {
      const transport = this.transportOf(device);
      if (transport === null) continue;
      const url = apiUrl(this.#options.base, '/v1/device');
      await transport
        .exchange({ method: 'GET', url, headers: { Authorization: ROTATING }, body: null })
        .catch((error: unknown) =>
          this.#options.warn(`${device}: ${error instanceof Error ? error.message : String(error)}`),
        );
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#held.values()].map(({ rotation }) => rotation.close(1000)));
  }

  async #open({ device, keyFile, passwordFile }: PlcConfig): Promise<Held> {
    const { folder, base, transport, warn } = this.#options;
    const store = join(folder, device);
    await mkdir(store, { recursive: true, mode: 0o700 });
    const slots = openCredentialSlots(store);
    if (slots.look().state === 'empty') {
      const key = parseApiKey((await readFile(keyFile, 'utf8')).trim());
      if (key === null) throw new Error(`plcs: expected an API key in ${keyFile}, got another text`);
      slots.provision(key, 1);
    }
    const rotation = await openRotation({
      store,
      base,
      transport,
      trustPlainHttp: false,
      changed: () => {},
      warn: (code, detail) => warn(`${device}: ${detail} [${code}]`),
    });
    const password = passwordFile === null ? null : (await readFile(passwordFile, 'utf8')).trim();
    return { rotation, password };
  }
}

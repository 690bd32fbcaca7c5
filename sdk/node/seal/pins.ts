import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic-file.ts';
import { FuselinkError, systemCode } from '../errors.ts';

/** A public key as this device first met it, or was told to accept it. */
export interface Pin {
  version: 1;
  /** `recipient ops@example.com` or `signer pump-7`. */
  who: string;
  server: string;
  publicKey: string;
  /** In words, for messages. */
  words: string;
  pinnedAt: string;
}

/**
 * Public keys this device has met, a small file each (0600). What is not there was never met; what cannot be read is an
 * error, because taking it for absent would accept any key.
 */
export interface PinStore {
  load(who: string): Promise<Pin | null>;
  save(who: string, key: { publicKey: string; words: string }): Promise<void>;
}

function isPin(value: unknown): value is Pin {
  const pin = value as Pin | null;
  return pin?.version === 1 && typeof pin.publicKey === 'string' && typeof pin.words === 'string';
}

export function pinStore(stateFolder: string, server: string): PinStore {
  const pathOf = (who: string) => {
    const name = createHash('sha256').update(`${server}\n${who}`).digest('hex').slice(0, 40);
    return join(stateFolder, 'pins', `${name}.json`);
  };
  return {
    async load(who) {
      const path = pathOf(who);
      try {
        const pin: unknown = JSON.parse(await readFile(path, 'utf8'));
        if (isPin(pin) && pin.who === who && pin.server === server) return pin;
        throw new Error('expected a pinned key, got something else');
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return null;
        const text = error instanceof Error ? error.message : String(error);
        throw new FuselinkError('pin_unreadable', `the key pinned for ${who} cannot be read (${path}): ${text}`, {
          cause: error,
        });
      }
    },
    async save(who, key) {
      const pin: Pin = { version: 1, who, server, ...key, pinnedAt: new Date().toISOString() };
      await writeFileAtomic(pathOf(who), `${JSON.stringify(pin)}\n`);
    },
  };
}

import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '#sdk/node';

/** A key that the server called valid: never the key, only what recognises it. */
export interface CachedKey {
  device: string;
  /** SHA-256 of the key's 32 random bytes: it recognises the key and does not give it away. */
  keySha256: string;
  fingerprint: string;
  /** When the server last called it valid, ms since 1970; for people, nothing is decided by it. */
  checkedAtMs: number;
}

/** During a rotation a device has two valid keys; the oldest makes room. */
const KEYS_PER_DEVICE_MAX = 2;

export interface KeyCache {
  find(device: string, keySha256: string): CachedKey | null;
  all(): CachedKey[];
  /** Resolves when it is durable. */
  remember(key: CachedKey): Promise<void>;
  /** Gone from memory at once; resolves when it is gone from the disk. */
  forget(device: string, keySha256: string): Promise<void>;
}

/**
 * Hashes of the keys with which devices signed in, in a file (0600) that is replaced whole. A damaged file is an empty
 * one: then devices are checked with the server again, and only while it is away are they refused.
 */
export async function openKeyCache(path: string, warn: (detail: string) => void): Promise<KeyCache> {
  const keys = new Map<string, CachedKey[]>();
  for (const key of await readKeys(path, warn)) keys.set(key.device, [...(keys.get(key.device) ?? []), key]);
  let writing: Promise<void> = Promise.resolve();
  let queued: Promise<void> | null = null;

  /** Changes that come while one write is under way share the next. */
  function save(): Promise<void> {
    queued ??= writing.then(async () => {
      queued = null;
      const text = `${JSON.stringify({ version: 1, keys: [...keys.values()].flat() })}\n`;
      writing = writeFileAtomic(path, text).catch((error: unknown) => {
        warn(`${path}: cannot be written (${error instanceof Error ? error.message : String(error)})`);
      });
      await writing;
    });
    return queued;
  }

  return {
    find: (device, keySha256) => keys.get(device)?.find((key) => key.keySha256 === keySha256) ?? null,
    all: () => [...keys.values()].flat(),
    remember(key) {
      const others = (keys.get(key.device) ?? []).filter((one) => one.keySha256 !== key.keySha256);
      const isNew = others.length === (keys.get(key.device)?.length ?? 0);
      keys.set(key.device, [...others, key].slice(-KEYS_PER_DEVICE_MAX));
      // A fresh time of check alone is not worth a write to flash.
      return isNew ? save() : Promise.resolve();
    },
    forget(device, keySha256) {
      const left = (keys.get(device) ?? []).filter((key) => key.keySha256 !== keySha256);
      if (left.length === 0) keys.delete(device);
      else keys.set(device, left);
      return save();
    },
  };
}

async function readKeys(path: string, warn: (detail: string) => void): Promise<CachedKey[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') warn(`${path}: cannot be read; begun afresh`);
    return [];
  }
  try {
    const { version, keys } = JSON.parse(text) as { version: unknown; keys: unknown };
    if (version !== 1 || !Array.isArray(keys)) throw new TypeError('another form');
    return keys.filter(
      (key: Partial<CachedKey>): key is CachedKey =>
        typeof key.device === 'string' &&
        /^[0-9a-f]{64}$/.test(key.keySha256 ?? '') &&
        typeof key.fingerprint === 'string',
    );
  } catch {
    warn(`${path}: expected the cache of key hashes, got another text; begun afresh`);
    return [];
  }
}

import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DevicePosition } from '#sdk/protocol';
import { syncFolder } from '../atomic-file.ts';

/** Races with other processes of the same device before it is given up. */
const TRIES_MAX = 1000;

/** Where this process is in the device's life: says so with every request. */
export interface Boots {
  next(phase: string): DevicePosition;
}

/**
 * Counts this start as one boot, durably: the newest file in `folder` is the count. A name can be created only once, so
 * two processes that start at the same moment are two boots, and never look like a copied key.
 */
export async function countBoot(folder: string): Promise<Boots> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const counts = () =>
    readdirSync(folder)
      .filter((name) => /^[0-9]{1,10}$/.test(name))
      .map(Number);
  let boot = Math.max(0, ...counts());
  for (let tries = 0; ; tries++) {
    boot += 1;
    try {
      closeSync(openSync(join(folder, String(boot)), 'wx', 0o600));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || tries >= TRIES_MAX) throw error;
    }
  }
  await syncFolder(folder);
  for (const older of counts()) if (older < boot) rmSync(join(folder, String(older)), { force: true });
  const bootTag = randomBytes(8).toString('hex');
  let sequence = 0;
  return {
    next(phase) {
      sequence += 1;
      return { boot, sequence, bootTag, phase };
    },
  };
}

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RotationState } from '#sdk/core';
import { openCredentialSlots } from '../credentials/index.ts';
import type { Transport } from '../http/transport.ts';
import { lockFolder } from '../spool/folder-lock.ts';
import { SpoolError } from '../spool/spool-error.ts';
import { type Boots, countBoot } from './boots.ts';
import { loadIdentity } from './identity.ts';
import { rotatingTransport } from './rotating-transport.ts';
import { Rotator } from './rotator.ts';

/** How long a device with nothing to send goes without asking whether the server wishes for another key. */
const LOOK_MS = 3_600_000;

export interface OpenRotation {
  /** Folder of the credential store. */
  store: string;
  base: URL;
  transport: Transport;
  /** Plain HTTP to another machine is believed, too: a gateway on a LAN one trusts. */
  trustPlainHttp: boolean;
  changed(state: RotationState): void;
  warn(code: string, detail: string): void;
  /** For tests: in [0, 1). */
  random?: (() => number) | undefined;
}

export interface Rotation {
  rotator: Rotator;
  transport: Transport;
  /** Waits for the rotation's own requests, at most so long, and stops. */
  close(waitMs: number): Promise<void>;
}

/** Plain HTTP is believed on this machine: nobody is in between. */
function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.[0-9]{1,3}){3}$/.test(hostname);
}

/**
 * The rotation of the device whose keys are in `store`. One process at a time drives it; others follow what it writes.
 * Where no boot can be counted (a read-only disk) requests go out without a position, and the rotation goes on.
 */
export async function openRotation(options: OpenRotation): Promise<Rotation> {
  const { store, base, warn } = options;
  const folder = join(store, 'rotation');
  if (existsSync(store)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const unlock = lockOrFollow(folder);
  let boots: Boots | null = null;
  try {
    boots = await countBoot(join(folder, 'boots'));
  } catch (error) {
    warn('boot_uncounted', error instanceof Error ? error.message : String(error));
  }
  const rotator = new Rotator({
    slots: openCredentialSlots(store),
    transport: options.transport,
    base,
    identity: await loadIdentity(store),
    boots,
    drives: unlock !== null,
    authentic: base.protocol === 'https:' || isLoopback(base) || options.trustPlainHttp,
    changed: options.changed,
    warn,
    lookMs: LOOK_MS,
    ...(options.random === undefined ? {} : { random: options.random }),
  });
  return {
    rotator,
    transport: rotatingTransport(options.transport, rotator),
    async close(waitMs) {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMs);
      });
      await Promise.race([rotator.idle(), patience]);
      clearTimeout(timer);
      rotator.close();
      await rotator.idle();
      unlock?.();
    },
  };
}

/** A rotation that is still opening, behind a transport that can be used at once. */
export interface BegunRotation {
  transport: Transport;
  /** The agent, once open. Rejects where the store cannot be used: each request then says so. */
  ready: Promise<Rotation>;
  close(waitMs: number): Promise<void>;
}

/** Opens the rotation and lets requests wait for it: what needs no key goes out meanwhile. */
export function beginRotation(options: OpenRotation): BegunRotation {
  const ready = openRotation(options);
  // Whoever asks for the key is told; until then the failure is nobody's.
  ready.catch(() => {});
  return {
    ready,
    transport: {
      exchange: async (request) => (await ready).transport.exchange(request),
      open: async (request) => (await ready).transport.open(request),
      close: () => options.transport.close(),
    },
    async close(waitMs) {
      const opened = await ready.catch(() => null);
      await opened?.close(waitMs);
    },
  };
}

/** How to unlock, or null where another process has the store: this one then follows. */
function lockOrFollow(folder: string): (() => void) | null {
  try {
    return lockFolder(folder);
  } catch (error) {
    if (error instanceof SpoolError) return null;
    throw error;
  }
}

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toHex } from '../bytes/index.ts';
import type { ApiKey, Nvs, NvsError, NvsHandle } from './index.ts';
import {
  cutFlash,
  fileNvs,
  flashNvs,
  flashSlotStore,
  memoryNvs,
  nvsSlotStore,
  parseApiKey,
  SLOT_NAMES,
  type SlotStore,
  slotsOver,
  steadyPower,
} from './index.ts';

/** What the Python client's store is held to as well, step by step: `sdk/micropython/nvs.test.ts`. */
const read = (name: string) => JSON.parse(readFileSync(new URL(`vectors/${name}`, import.meta.url), 'utf8'));
const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

interface NvsStep {
  do: 'open' | 'restart' | 'get' | 'set' | 'erase';
  namespace?: string;
  name?: string;
  /** Of `blob(bytes, seed)`. */
  bytes?: number;
  seed?: number;
  sha256?: string;
  code?: string;
}

const blob = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);

test('the shared steps of an NVS-style store: memoryNvs → the same bytes, the same refusals', () => {
  const { files, fileName } = memoryNvs();
  let nvs: Nvs = fileNvs(files, fileName);
  let handles: Record<string, NvsHandle> = {};
  const answer = (step: NvsStep): string | undefined => {
    const { namespace = 'fuselink', name = '' } = step;
    if (step.do === 'open') return void nvs.open(namespace, 'rw');
    if (step.do === 'restart') {
      handles = {};
      nvs = fileNvs(files, fileName);
      return undefined;
    }
    handles[namespace] ??= nvs.open(namespace, 'rw');
    const handle = handles[namespace];
    if (step.do === 'get') return toHex(sha256(handle.get(name)));
    if (step.do === 'set') handle.set(name, blob(step.bytes ?? 0, step.seed ?? 0));
    else handle.erase(name);
    return void handle.commit();
  };
  for (const [number, step] of (read('nvs.json') as NvsStep[]).entries()) {
    let code: string | undefined;
    let found: string | undefined;
    try {
      found = answer(step);
    } catch (error) {
      code = `0x${(error as NvsError).code.toString(16)}`;
    }
    expect({ number, code, sha256: found }).toEqual({
      number,
      code: step.code,
      sha256: step.sha256,
    });
  }
});

interface SlotStep {
  do: 'provision' | 'stage' | 'settle';
  key?: string;
  generation?: number;
  base?: string;
  fingerprint?: string;
  answer: unknown;
  slot0: string;
  slot1: string;
}

const stores: [string, () => SlotStore][] = [
  ['memoryNvs', () => nvsSlotStore(memoryNvs().nvs)],
  ['flashNvs', () => nvsSlotStore(flashNvs(cutFlash(steadyPower(), 2, 4096), 'fuselink', SLOT_NAMES))],
  ['two flash pages', () => flashSlotStore(cutFlash(steadyPower(), 2, 4096))],
];

describe.each(stores)('the shared steps of the slots: %s', (_name, make) => {
  test('every step → the answer and the bytes that every client agrees on', () => {
    const store = make();
    const slots = slotsOver(store, sha256);
    const held = (slot: number) => {
      const bytes = store.read(slot);
      const blank = bytes === null || bytes.every((byte) => byte === 0xff);
      return blank ? '' : toHex(bytes);
    };
    for (const [number, step] of (read('slot-steps.json') as SlotStep[]).entries()) {
      const { key = '', generation = 0, base = '', fingerprint = '' } = step;
      let answer: unknown = null;
      if (step.do === 'provision') slots.provision(parseApiKey(key) as ApiKey, generation);
      else if (step.do === 'stage') answer = slots.stage(parseApiKey(key) as ApiKey, generation, base);
      else answer = slots.settle(fingerprint);
      const { answer: expected, slot0, slot1 } = step;
      expect({ number, answer, slot0: held(0), slot1: held(1) }).toEqual({
        number,
        answer: expected,
        slot0,
        slot1,
      });
    }
  });
});

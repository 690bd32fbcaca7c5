import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex, toHex } from '../bytes/index.ts';
import type { ApiKey, Nvs, SlotRecord } from './index.ts';
import {
  apiKey,
  cutFlash,
  decodeSlot,
  encodeSlot,
  fingerprintOf,
  flashNvs,
  flashSlotStore,
  formatApiKey,
  memoryNvs,
  NO_BASE,
  NVS_INVALID_LENGTH,
  NVS_INVALID_STATE,
  NVS_NO_FREE_PAGES,
  nvsError,
  openSlots,
  parseApiKey,
  SLOT_BYTES,
  SLOT_NAMES,
  slotsOver,
  steadyPower,
  viewOfSlots,
} from './index.ts';

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const keyOf = (seed: number): ApiKey =>
  apiKey(
    1,
    Uint8Array.from({ length: 32 }, (_, i) => (seed * 53 + i) & 255),
  );
const fp = (key: ApiKey) => fingerprintOf(sha256, key);
const PDM = 'pdm_abcDEF123!@#$%&*abcDEF123456';

interface Vector {
  name: string;
  key_text: string;
  generation: number;
  base_hex: string;
  fingerprint_hex: string;
  record_hex: string;
}
const vectors = JSON.parse(readFileSync(new URL('vectors/slot-record.json', import.meta.url), 'utf8')) as Vector[];

test.each(vectors)('slot record: the shared vector “$name” → the same 60 bytes, both ways', (vector) => {
  const key = parseApiKey(vector.key_text)!;
  expect(fp(key)).toBe(vector.fingerprint_hex);
  const expected = createHash('sha256').update('fuselink fp').update(key.bytes()).digest('hex').slice(0, 16);
  expect(vector.fingerprint_hex).toBe(expected);
  const bytes = encodeSlot({ generation: vector.generation, base: vector.base_hex, fingerprint: fp(key), key });
  expect(toHex(bytes)).toBe(vector.record_hex);
  const record = decodeSlot(fromHex(vector.record_hex)!)!;
  expect(formatApiKey(record.key)).toBe(vector.key_text);
  expect(record).toMatchObject({ generation: vector.generation, base: vector.base_hex, fingerprint: fp(key) });
});

test('slot record: any record → itself; any flipped bit, any other length → null', () => {
  const hex8 = fc.uint8Array({ minLength: 8, maxLength: 8 }).map(toHex);
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(
      key,
      fc.constantFrom(1 as const, 2 as const),
      fc.nat(0xffffffff),
      hex8,
      hex8,
      (bytes, form, generation, base, own) => {
        const encoded = encodeSlot({ generation, base, fingerprint: own, key: apiKey(form, bytes) });
        expect(encoded.length).toBe(SLOT_BYTES);
        const record = decodeSlot(encoded) as SlotRecord;
        expect(record).toMatchObject({ generation, base, fingerprint: own });
        expect([record.key.form, record.key.bytes()]).toEqual([form, bytes]);
      },
    ),
  );
  const encoded = encodeSlot({ generation: 7, base: NO_BASE, fingerprint: fp(keyOf(1)), key: keyOf(1) });
  for (let bit = 0; bit < SLOT_BYTES * 8; bit++) {
    const rotten = Uint8Array.from(encoded);
    rotten[bit >> 3] = rotten[bit >> 3]! ^ (1 << (bit & 7));
    expect(decodeSlot(rotten), `bit ${bit}`).toBeNull();
  }
  for (let length = 0; length < SLOT_BYTES; length++) expect(decodeSlot(encoded.subarray(0, length))).toBeNull();
  expect(decodeSlot(Uint8Array.from([...encoded, 0]))).toBeNull();
});

test('key: both forms → 32 bytes and back; anything else → null', () => {
  const hex = parseApiKey('AB'.repeat(32))!;
  expect([hex.form, hex.bytes()]).toEqual([1, new Uint8Array(32).fill(0xab)]);
  expect(formatApiKey(hex)).toBe('ab'.repeat(32));
  const pdm = parseApiKey(PDM)!;
  expect([pdm.form, pdm.bytes().length]).toEqual([2, 32]);
  expect(formatApiKey(pdm)).toBe(PDM);
  for (const wrong of [
    '',
    'ab'.repeat(31),
    'ab'.repeat(31) + 'a',
    'zz'.repeat(32),
    PDM + 'a',
    PDM.slice(1) + 'a',
    PDM.slice(0, 31) + '-',
    PDM.slice(0, 31) + ' ',
    PDM.toUpperCase(),
  ]) {
    expect(parseApiKey(wrong), wrong).toBeNull();
  }
});

test('secrecy: a record, a view and a store → neither inspect, JSON nor an error shows the key', () => {
  const { nvs } = memoryNvs();
  const slots = openSlots(nvs, sha256);
  const key = keyOf(9);
  const record = slots.provision(key, 1);
  const shown = [record, slots.look(), slots, key].map((it) => inspect(it, { depth: 20 }) + JSON.stringify(it)).join();
  const decimal = Array.from(key.bytes().subarray(0, 4)).join(', ');
  expect(shown).not.toContain(formatApiKey(key));
  expect(shown).not.toContain(decimal);
  expect(shown).toContain(fp(key));
  const short = apiKey(1, key.bytes().subarray(0, 31));
  expect(() => slots.stage(short, 2, fp(key))).toThrow(expect.objectContaining({ code: NVS_INVALID_LENGTH }));
  try {
    slots.stage(short, 2, fp(key));
  } catch (error) {
    expect(inspect(error)).not.toContain(decimal);
  }
});

const settledStore = () => {
  const memory = memoryNvs();
  const slots = openSlots(memory.nvs, sha256);
  slots.provision(keyOf(1), 4);
  return { memory, slots };
};

test('slots: empty → provisioned and mirrored → staged beside it → settled on either', () => {
  const { slots } = settledStore();
  expect(openSlots(memoryNvs().nvs, sha256).look()).toEqual({
    state: 'empty',
    base: null,
    candidate: null,
    mirrored: false,
  });
  expect(slots.look()).toMatchObject({ state: 'settled', mirrored: true, base: { generation: 4, base: NO_BASE } });
  expect(slots.stage(keyOf(2), 5, fp(keyOf(1)))).toBe('staged');
  expect(slots.look()).toMatchObject({
    state: 'two-keys',
    base: { fingerprint: fp(keyOf(1)) },
    candidate: { fingerprint: fp(keyOf(2)), base: fp(keyOf(1)), generation: 5 },
  });
  expect(slots.settle(fp(keyOf(2)))).toBe(true);
  expect(slots.look()).toMatchObject({ state: 'settled', mirrored: true, base: { fingerprint: fp(keyOf(2)) } });
  expect(slots.stage(keyOf(3), 6, fp(keyOf(2)))).toBe('staged');
  expect(slots.settle(fp(keyOf(2)))).toBe(true);
  expect(slots.look()).toMatchObject({ state: 'settled', mirrored: true, base: { fingerprint: fp(keyOf(2)) } });
  expect(slots.settle(fp(keyOf(3)))).toBe(false);
});

test.each([
  // generation, base, candidate → outcome, on slots that hold key 1 (generation 4) and its candidate key 2 (generation 6)
  { what: 'a base that is in no slot', generation: 9, base: 7, key: 3, outcome: 'base_unknown' },
  { what: 'the generation of its base', generation: 4, base: 1, key: 3, outcome: 'stale' },
  { what: 'newer than the base, older than the other slot', generation: 5, base: 1, key: 3, outcome: 'stale' },
  { what: 'another key under the generation of the other slot', generation: 6, base: 1, key: 3, outcome: 'stale' },
  { what: 'a repeat of the staged candidate', generation: 6, base: 1, key: 2, outcome: 'staged' },
  { what: 'a newer candidate on the same base', generation: 7, base: 1, key: 3, outcome: 'staged' },
  { what: 'a next candidate on the proven one', generation: 7, base: 2, key: 3, outcome: 'staged' },
  { what: 'the base itself again', generation: 8, base: 1, key: 1, outcome: 'stale' },
])('stage: $what → $outcome, and the base stays', ({ generation, base, key, outcome }) => {
  const { slots } = settledStore();
  slots.stage(keyOf(2), 6, fp(keyOf(1)));
  expect(slots.stage(keyOf(key), generation, fp(keyOf(base)))).toBe(outcome);
  const view = slots.look();
  const held = [view.base?.fingerprint, view.candidate?.fingerprint];
  if (outcome === 'staged') expect(held).toEqual([fp(keyOf(base)), fp(keyOf(key))]);
  else expect(held).toEqual([fp(keyOf(1)), fp(keyOf(2))]);
});

test('look: one slot damaged → settled on the other, not mirrored, and settling heals it', () => {
  for (const damaged of [0, 1]) {
    const flash = cutFlash(steadyPower(), 2, 4096);
    const slots = openSlots(flashNvs(flash, 'fuselink', SLOT_NAMES), sha256);
    slots.provision(keyOf(1), 1);
    flash.flipBit(damaged * 4096 * 8 + 300);
    expect(slots.look()).toMatchObject({ state: 'settled', mirrored: false, base: { fingerprint: fp(keyOf(1)) } });
    expect(slots.settle(fp(keyOf(1)))).toBe(true);
    expect(slots.look().mirrored).toBe(true);
  }
});

test('flash slot store: a record at the start of each page → the same slots as through names and handles', () => {
  const flash = cutFlash(steadyPower(), 2, 4096);
  const small = slotsOver(flashSlotStore(flash), sha256);
  expect(small.pair()).toEqual([null, null]);
  small.provision(keyOf(1), 1);
  expect(small.stage(keyOf(2), 2, fp(keyOf(1)))).toBe('staged');
  expect(decodeSlot(flash.read(4096, SLOT_BYTES))).toMatchObject({ generation: 2, fingerprint: fp(keyOf(2)) });
  expect(viewOfSlots(small.pair())).toMatchObject({ state: 'two-keys', candidate: { fingerprint: fp(keyOf(2)) } });
  expect(small.settle(fp(keyOf(2)))).toBe(true);
  expect(viewOfSlots(small.pair())).toMatchObject({
    state: 'settled',
    mirrored: true,
    base: { fingerprint: fp(keyOf(2)) },
  });
});

test('look: a candidate of a generation that is not newer (restored by hand) → told apart by whose base it names', () => {
  const memory = memoryNvs();
  const handle = memory.nvs.open('fuselink', 'rw');
  const older = { generation: 5, base: NO_BASE, fingerprint: fp(keyOf(1)), key: keyOf(1) };
  const newer = { generation: 5, base: fp(keyOf(1)), fingerprint: fp(keyOf(2)), key: keyOf(2) };
  for (const [first, second] of [
    [older, newer],
    [newer, older],
  ] as const) {
    handle.set('slot0', encodeSlot(first));
    handle.set('slot1', encodeSlot(second));
    handle.commit();
    const view = openSlots(memory.nvs, sha256).look();
    expect([view.base?.fingerprint, view.candidate?.fingerprint]).toEqual([fp(keyOf(1)), fp(keyOf(2))]);
  }
});

test('writing: a mirror that is already there → no write; a store that lies → INVALID_STATE', () => {
  const { memory, slots } = settledStore();
  const before = memory.files.power.operations;
  slots.settle(fp(keyOf(1)));
  slots.look();
  expect(memory.files.power.operations).toBe(before);
  const lying: Nvs = {
    open: (namespace, mode) => ({ ...memory.nvs.open(namespace, mode), set: () => {} }),
  };
  expect(() => openSlots(lying, sha256).stage(keyOf(2), 5, fp(keyOf(1)))).toThrow(
    expect.objectContaining({ code: NVS_INVALID_STATE }),
  );
});

test('NO_FREE_PAGES: thrown on, nothing is erased, both slots keep their key', () => {
  const { memory, slots } = settledStore();
  let erased = 0;
  const full: Nvs = {
    open: (namespace, mode) => ({
      ...memory.nvs.open(namespace, mode),
      set: () => {
        throw nvsError(NVS_NO_FREE_PAGES, 'no page is free');
      },
      erase: () => {
        erased++;
      },
    }),
  };
  expect(() => openSlots(full, sha256).stage(keyOf(2), 5, fp(keyOf(1)))).toThrow(
    expect.objectContaining({ code: NVS_NO_FREE_PAGES }),
  );
  expect(erased).toBe(0);
  expect(slots.look()).toMatchObject({ state: 'settled', mirrored: true, base: { fingerprint: fp(keyOf(1)) } });
});

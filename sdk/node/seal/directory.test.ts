import { describe, expect, test } from 'vitest';
import type { KeyOnFile } from '#sdk/protocol';
import * as seal from '#sdk/seal/node';
import { FuselinkError } from '../errors.ts';
import type { HttpAnswer, Transport } from '../http/transport.ts';
import { createDirectory } from './directory.ts';
import type { Pin, PinStore } from './pins.ts';

function newKey(): { text: string; words: string } {
  const key = seal.generateKey(seal.nodeCrypto, seal.nodeRandom, 'x-wing');
  return { text: seal.encodePublicKey(seal.nodeCrypto, key), words: seal.fingerprint(seal.nodeCrypto, key).words };
}
const [FIRST, SECOND] = [newKey(), newKey()];

function onFile(key: { text: string }, alarm: KeyOnFile['alarm'] = null): KeyOnFile {
  return {
    algorithm: 'x-wing',
    public_key: key.text,
    // What the server says of the key is not believed: these are wrong on purpose.
    fingerprint: '00',
    fingerprint_words: 'acid-acid',
    created_at: '',
    alarm,
    earlier_keys: [],
  };
}

type Answers = (KeyOnFile | null | FuselinkError | HttpAnswer)[];

/** A directory on answers given beforehand, and a store of pins in memory that can fail. */
function setUp(answers: Answers, pins: 'none' | 'read-only' | 'kept' = 'kept') {
  const asked: string[] = [];
  const warnings: string[] = [];
  const kept = new Map<string, Pin>();
  const store: PinStore = {
    load: async (who) => kept.get(who) ?? null,
    async save(who, key) {
      if (pins === 'read-only') throw new Error('read-only file system');
      kept.set(who, { version: 1, who, server: '', ...key, pinnedAt: '' });
    },
  };
  const transport: Transport = {
    async exchange({ url, headers }) {
      asked.push(`${url.pathname}${url.search} ${headers['Authorization']}`);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      if (next instanceof FuselinkError) throw next;
      if (next !== null && next !== undefined && 'status' in next) return next;
      const name = url.pathname.endsWith('recipients') ? 'recipients' : 'signing_keys';
      const body = { [name]: next === null ? [] : [next], next_cursor: null };
      return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(body)) };
    },
    open: () => Promise.reject(new Error('not asked here')),
    close() {},
  };
  const directory = createDirectory({
    seal,
    base: new URL('http://relay.example/prefix'),
    transport,
    authorization: async () => 'Bearer k',
    pins: pins === 'none' ? null : store,
    warn: (code) => warnings.push(code),
  });
  const look = (acceptNewKey = false, giveUpAfterMs: number | null = 0) =>
    directory.recipient(' Ops@Example.com', { acceptNewKey, signal: undefined, giveUpAfterMs }).then(
      (key) => seal.encodePublicKey(seal.nodeCrypto, key),
      (error: FuselinkError) => error.code,
    );
  return { look, asked, warnings, kept, directory };
}

const DOWN = new FuselinkError('unreachable', 'nobody there', { resumable: true });
const BUSY: HttpAnswer = { status: 503, headers: {}, body: Buffer.from('<html>') };

describe('directory', () => {
  test('first time → asked below the prefix by the address in lower case, pinned, told; again → silent', async () => {
    const { look, asked, warnings, kept } = setUp([onFile(FIRST)]);
    expect(await look()).toBe(FIRST.text);
    expect(asked).toEqual(['/prefix/v1/recipients?email=ops%40example.com Bearer k']);
    expect([warnings, kept.get('recipient ops@example.com')?.words]).toEqual([['key_pinned'], FIRST.words]);
    expect([await look(), warnings]).toEqual([FIRST.text, ['key_pinned']]);
  });

  test('another key → refused; accepted → pinned in its place, and the first is then the stranger', async () => {
    const { look, warnings } = setUp([onFile(FIRST), onFile(SECOND), onFile(SECOND), onFile(FIRST)]);
    await look();
    expect(await look()).toBe('recipient_key_changed');
    expect(await look(true)).toBe(SECOND.text);
    expect(warnings).toEqual(['key_pinned', 'key_accepted']);
    expect(await look()).toBe('recipient_key_changed');
  });

  test('an unconfirmed change → refused where nothing is pinned; where this very key is, it is known', async () => {
    const alarm = { since: '2026-01-01T00:00:00.000Z' };
    expect(await setUp([onFile(SECOND, alarm)]).look()).toBe('recipient_key_changed');
    const known = setUp([onFile(SECOND), onFile(SECOND, alarm)]);
    await known.look();
    expect(await known.look()).toBe(SECOND.text);
  });

  test('a server that cannot be reached or is busy → what is pinned serves; without a pin its error, or it is waited for', async () => {
    for (const trouble of [DOWN, BUSY]) {
      const pinned = setUp([onFile(FIRST), trouble]);
      await pinned.look();
      expect(await pinned.look()).toBe(FIRST.text);
      expect(await setUp([trouble]).look()).toBe('unreachable');
      expect(await setUp([trouble, onFile(FIRST)]).look(false, null)).toBe(FIRST.text);
    }
  });

  test('a refusal (a revoked key, a removed recipient) → an error, also where a key is pinned', async () => {
    const gone = setUp([onFile(FIRST), null]);
    await gone.look();
    expect(await gone.look()).toBe('recipient_unknown');
  });

  test('nowhere to keep a pin → told each time; an accepted change that cannot be kept → refused', async () => {
    const none = setUp([onFile(FIRST)], 'none');
    expect([await none.look(), none.warnings]).toEqual([FIRST.text, ['key_not_pinned']]);
    const readOnly = setUp([onFile(FIRST), onFile(SECOND)], 'read-only');
    expect([await readOnly.look(), readOnly.warnings]).toEqual([FIRST.text, ['key_not_pinned']]);
    readOnly.kept.set('recipient ops@example.com', {
      version: 1,
      who: 'recipient ops@example.com',
      server: '',
      publicKey: FIRST.text,
      words: FIRST.words,
      pinnedAt: '',
    });
    await expect(
      readOnly.directory.recipient('ops@example.com', { acceptNewKey: true, signal: undefined, giveUpAfterMs: 0 }),
    ).rejects.toThrow('read-only');
  });

  test('a key that is none, or for something else → key_malformed', async () => {
    const signer = seal.encodePublicKey(seal.nodeCrypto, seal.generateKey(seal.nodeCrypto, seal.nodeRandom, 'ed25519'));
    for (const text of ['', 'nonsense', signer]) expect(await setUp([onFile({ text })]).look()).toBe('key_malformed');
  });
});

import { describe, expect, it } from 'vitest';
import { nodeCrypto } from '../../adapters/node/crypto.ts';
import { nodeRandom } from '../../adapters/node/random.ts';
import { utf8 } from '../../domain/base64url.ts';
import type { TransferId } from '../../domain/ids.ts';
import { createKeyring } from './keyring.ts';
import { linkSecrets, tokenOf, tokenOfUpload, uploadIdOf } from './link.ts';
import { openMeta, recipientIndex, sealMeta } from './transfer-meta.ts';

const deps = { crypto: nodeCrypto, random: nodeRandom };
const key = (byte: number) => new Uint8Array(32).fill(byte);
const first = createKeyring({ current: 1, keys: new Map([[1, key(1)]]) }, deps);
const rotated = createKeyring(
  {
    current: 2,
    keys: new Map([
      [1, key(1)],
      [2, key(2)],
    ]),
  },
  deps,
);
const text = utf8('layout of the plant.pdf');

describe('keyring', () => {
  it('sealed → opens under its purpose and context only, and shows nothing', () => {
    const sealed = first.seal('transfer meta', 'id-1', text);
    expect(first.open('transfer meta', 'id-1', sealed)).toEqual(text);
    expect(first.open('transfer meta', 'id-2', sealed)).toBeNull();
    expect(first.open('device secret', 'id-1', sealed)).toBeNull();
    expect(Buffer.from(sealed).includes(Buffer.from('plant'))).toBe(false);
    expect(Buffer.from(first.seal('transfer meta', 'id-1', text)).equals(Buffer.from(sealed))).toBe(false);
  });

  it('any byte altered, or too short → null', () => {
    const sealed = first.seal('p', 'c', text);
    for (let i = 0; i < sealed.length; i++) {
      const altered = Uint8Array.from(sealed);
      altered[i] = (altered[i] ?? 0) ^ 1;
      expect(first.open('p', 'c', altered), `byte ${i}`).toBeNull();
    }
    for (const length of [0, 1, 13, 28]) expect(first.open('p', 'c', sealed.subarray(0, length))).toBeNull();
  });

  it('after a rotation → what the old key sealed opens, new things name the new key; without the old one → null', () => {
    const old = first.seal('p', 'c', text);
    expect(rotated.open('p', 'c', old)).toEqual(text);
    expect(rotated.seal('p', 'c', text)[0]).toBe(2);
    expect(rotated.versions).toEqual([2, 1]);
    expect(rotated.mac('p', [text], 1)).toEqual(first.mac('p', [text]));
    expect(rotated.mac('p', [text])).not.toEqual(first.mac('p', [text]));
    const without = createKeyring({ current: 2, keys: new Map([[2, key(2)]]) }, deps);
    expect(without.open('p', 'c', old)).toBeNull();
    expect(() => without.mac('p', [text], 1)).toThrow('FUSELINK_SECRET has no key of version 1');
  });
});

describe('links', () => {
  it('a token → id and key that tell nothing of each other; every spelling but the canonical one → null', () => {
    const token = key(9);
    const secrets = linkSecrets(nodeCrypto, token);
    expect(secrets.id).toMatch(/^[\w-]{43}$/);
    expect(Buffer.from(secrets.key).equals(Buffer.from(secrets.idBytes))).toBe(false);
    const spelt = Buffer.from(token).toString('base64url');
    expect(tokenOf(spelt)).toEqual(token);
    // The last character has two bits to spare: other letters decode to the same bytes.
    for (const text of [`${spelt}=`, ` ${spelt}`, spelt.slice(1), `${spelt.slice(0, -1)}l`, `${spelt}A`, '', '!']) {
      expect(tokenOf(text), text).toBeNull();
    }
  });

  it('an upload’s secret → a token and a row id; neither is the secret or the other', () => {
    const secret = key(3);
    const token = tokenOfUpload(nodeCrypto, secret);
    const ids = [
      uploadIdOf(nodeCrypto, secret),
      linkSecrets(nodeCrypto, token).id,
      Buffer.from(token).toString('base64url'),
    ];
    expect(new Set([...ids, Buffer.from(secret).toString('base64url')]).size).toBe(4);
  });
});

describe('what the account sees of a transfer', () => {
  const id = 'some-transfer' as TransferId;
  const meta = {
    filename: 'größe "1".csv',
    recipient: 'a@b.example',
    note: null,
    contentType: 'text/csv',
    sha256: 'ab'.repeat(32),
  };

  it('sealed and opened → the same; under another id or a lost secret → said to be closed, not thrown', () => {
    const sealed_meta = sealMeta(first, id, meta);
    expect(openMeta(rotated, { id, sealed_meta })).toEqual(meta);
    expect(openMeta(first, { id: 'other' as TransferId, sealed_meta })).toMatchObject({
      filename: '(cannot be opened)',
      sha256: null,
    });
  });

  it('the index of a recipient → equal for one account whatever the case, different for two accounts', () => {
    const index = recipientIndex(first, 'acc_1', 'Ops@Example.com');
    expect(index).toBe(recipientIndex(first, 'acc_1', 'ops@example.com'));
    expect(index).toMatch(/^[0-9a-f]{32}$/);
    expect(index).not.toBe(recipientIndex(first, 'acc_2', 'ops@example.com'));
    expect(index).not.toBe(recipientIndex(rotated, 'acc_1', 'ops@example.com'));
    expect(index).toBe(recipientIndex(rotated, 'acc_1', 'ops@example.com', 1));
  });
});

import { mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as seal from '#sdk/seal/node';
import { seededBytes } from '../../../test/support/seeded-bytes.ts';
import { createClient, receive } from '../client.ts';
import { type FakeRelay, fakeRelay } from '../testing/fake-relay.ts';
import { sealedFileSource } from './sealed-file-source.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-sealed-'));
  path = join(folder, 'log.bin');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Where magic and version end and the salt, drawn together with the content key, begins and ends. */
const SALT = [9, 41] as const;

async function collect(
  source: { send: Awaited<ReturnType<typeof sealedFileSource>>['send'] },
  from: number,
  bytes: number,
) {
  const pieces: Buffer[] = [];
  await source.send(from, bytes, async (piece) => {
    pieces.push(Buffer.from(piece));
  });
  return Buffer.concat(pieces);
}

function open(sealed: Uint8Array, fragment: string | null): Buffer {
  const opener = seal.createOpener(seal.nodeCrypto, {
    contentKey: seal.decodeFragment(seal.nodeCrypto, fragment ?? ''),
  });
  return Buffer.concat([...opener.push(sealed), ...opener.finish().released]);
}

describe('sealedFileSource', () => {
  test('any part sent again, from any offset → the same bytes, and one digest of the whole', async () => {
    const content = seededBytes(300_000, 1);
    await writeFile(path, content);
    const source = await sealedFileSource(seal, path, { to: { kind: 'link' }, name: 'log.bin' });
    const size = source.sizeBytes ?? 0;
    const first = await collect(source, 0, 150_000);
    for (const [from, bytes] of [
      [0, 10],
      [149_999, 1],
      [70_000, size - 70_000],
      [0, size],
    ] as const) {
      const again = await collect(source, from, bytes);
      expect(again.length).toBe(bytes);
      if (from < 150_000) {
        const overlap = first.subarray(from, Math.min(150_000, from + bytes));
        expect(again.subarray(0, overlap.length).equals(overlap)).toBe(true);
      }
    }
    const whole = await collect(source, 0, size);
    expect(open(whole, source.fragment()).equals(content)).toBe(true);
    const { createHash } = await import('node:crypto');
    expect(await source.digest()).toBe(createHash('sha256').update(whole).digest('hex'));
    expect(await source.changedTo()).toBeNull();
    await source.close();
  });

  test('the file changes → source_changed and the new sealed size; opened anew → another content key for the other bytes', async () => {
    await writeFile(path, seededBytes(200_000, 2));
    const source = await sealedFileSource(seal, path, { to: { kind: 'link' }, name: 'log.bin' });
    const before = await collect(source, 0, 100_000);
    const [fragment, { mtime, atime }] = [source.fragment(), await stat(path)];
    const changed = seededBytes(200_000, 3);
    await writeFile(path, changed);
    // The same size and times as before, as a careless copy would leave it.
    await utimes(path, atime, mtime);
    await expect(collect(source, 50_000, 1000)).rejects.toMatchObject({ code: 'source_changed' });
    expect(await source.changedTo()).toBe(source.sizeBytes);
    await writeFile(path, changed.subarray(0, 100));
    expect(await source.changedTo()).toBeLessThan(1000);
    await source.reopen();
    expect(await source.changedTo()).toBeNull();
    const after = await collect(source, 0, source.sizeBytes ?? 0);
    expect(source.fragment()).not.toBe(fragment);
    expect(after.subarray(...SALT).equals(before.subarray(...SALT))).toBe(false);
    expect(open(after, source.fragment()).equals(changed.subarray(0, 100))).toBe(true);
    await source.close();
  });

  test('no such file, a folder → the error of a source', async () => {
    const request = { to: { kind: 'link' } } as const;
    await expect(sealedFileSource(seal, join(folder, 'none'), request)).rejects.toMatchObject({
      code: 'source_missing',
    });
    await expect(sealedFileSource(seal, folder, request)).rejects.toThrow();
  });
});

describe('a sealed send', () => {
  let relay: FakeRelay;
  beforeEach(async () => {
    relay = await fakeRelay();
  });
  afterEach(() => relay.close());

  const client = () => createClient({ url: relay.url, key: 'good-key', stateFolder: join(folder, 'state') });

  test('cut, then the file changes before it goes on → started afresh under a new content key, and the link opens what is there now', async () => {
    await writeFile(path, seededBytes(2_000_000, 4));
    const changed = seededBytes(1_900_000, 5);
    relay.cutUploads.push(900_000);
    relay.faults.push({
      on: (request) => request.method === 'HEAD',
      run: async () => {
        await writeFile(path, changed);
        return false;
      },
    });
    const sending = client();
    const restarts: string[] = [];
    sending.on('restarted', ({ reason }) => restarts.push(reason));
    const sent = await sending.send(path, { seal: { to: 'link' } });
    expect(restarts.length).toBe(1);
    const got = await receive(sent.url ?? '', { to: join(folder, 'back.bin'), stateFolder: null });
    expect(got).toMatchObject({ sizeBytes: changed.length, filename: 'log.bin' });
    const [first, last] = [relay.held[0], relay.held[relay.held.length - 1]];
    if (first === undefined || last === undefined || first === last) throw new Error('expected two uploads');
    const salts = [first, last].map((held) =>
      relay
        .content(held)
        .subarray(...SALT)
        .toString('hex'),
    );
    expect(salts[0]).toHaveLength(64);
    expect(salts[0]).not.toBe(salts[1]);
    await sending.close();
  });

  test('answers lost, connections cut, nothing changed → the very same bytes again, one transfer', async () => {
    const content = seededBytes(2_000_000, 6);
    await writeFile(path, content);
    relay.cutUploads.push(300_000, 500_000, 100_000);
    relay.loseAnswers.push((request) => request.method === 'POST');
    const sending = client();
    const sent = await sending.send(path, { seal: { to: 'link' } });
    expect(relay.finished()).toHaveLength(1);
    const got = await receive(sent.url ?? '', { to: join(folder, 'back.bin'), stateFolder: null });
    expect(got).toMatchObject({ sizeBytes: content.length, opened: true });
    await sending.close();
  });

  test('what resumes a send is not written for sealed ones: no key outlives the process', async () => {
    await writeFile(path, seededBytes(500_000, 7));
    relay.cutUploads.push(200_000, 1, 1, 1, 1, 1, 1, 1, 1);
    const sending = client();
    const failed = await sending.send(path, { seal: { to: 'link' }, giveUpAfterMs: 0 }).catch((error) => error);
    expect(failed.code).toBeDefined();
    expect(await readdir(join(folder, 'state')).catch(() => [])).toEqual([]);
    await sending.close();
  });

  test('damage on the way down, once → read again; every time → refused, nothing stored, nothing acknowledged', async () => {
    await writeFile(path, seededBytes(300_000, 8));
    const sending = client();
    const sent = await sending.send(path, { seal: { to: 'link' } });
    const to = join(folder, 'back.bin');
    relay.corruptDownloads = 2;
    await expect(receive(sent.url ?? '', { to, stateFolder: null })).rejects.toMatchObject({
      code: expect.stringMatching(/_not_authentic|not_sealed|header_malformed|version_unknown/),
    });
    expect((await readdir(folder)).filter((name) => name.includes('back'))).toEqual([]);
    expect(relay.held[0]?.burned).toBe(false);
    await sending.close();
  });
});

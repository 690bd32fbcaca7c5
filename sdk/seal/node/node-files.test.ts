import {
  chmod,
  type FileHandle,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { concat } from '../bytes.ts';
import { nodeCrypto } from '../crypto/node.ts';
import { SealError } from '../errors.ts';
import { encodeSecretKey, lockSecretKey } from '../keys/key-text.ts';
import { createOpener } from '../opener.ts';
import {
  contentKeyOf,
  KEYS,
  openPieces,
  sealWhole,
  TO_LINK,
  TO_OPS,
  testContent,
  testRandom,
} from '../seal.testkit.ts';
import { beginSealing, type SealRequest } from '../sealing.ts';
import { readKeyFile, writeKeyFile } from './key-files.ts';
import { openToFile, writeOpened } from './open-to-file.ts';
import { openSealedSource, SealedSource } from './sealed-source.ts';

const KEY = { contentKey: contentKeyOf('seal') };
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-seal-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function drain(reading: AsyncIterable<Uint8Array>): Promise<void> {
  let chunks = 0;
  for await (const piece of reading) if (piece.length > 16) chunks += 1;
  expect(chunks).toBe(0);
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'it succeeded',
    (error: unknown) => (error as { code?: string }).code ?? error,
  );
}

describe('openToFile', () => {
  const content = testContent(200_000);
  const sealed = sealWhole(content, { to: TO_LINK, contentBytes: content.length, signer: KEYS.pump });

  it('a whole file → its content under the name, mode 0600, nothing else', async () => {
    const path = join(folder, 'out.bin');
    const report = await openToFile(nodeCrypto, [sealed], { ...KEY, path });
    expect(report).toMatchObject({ contentBytes: content.length, signer: { algorithm: 'ed25519' } });
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['out.bin']);
  });

  it('damage at any of many places, cuts, a source that breaks → the error, and nothing left behind', async () => {
    const path = join(folder, 'out.bin');
    for (const at of [3, 20, 60, 80, 70_000, 140_000, sealed.length - 1]) {
      const flipped = sealed.slice();
      flipped[at]! ^= 1;
      expect(await openToFile(nodeCrypto, [flipped], { ...KEY, path }).catch((error) => error)).toBeInstanceOf(
        SealError,
      );
      expect(await readdir(folder)).toEqual([]);
    }
    expect(await rejection(openToFile(nodeCrypto, [sealed.subarray(0, 150_000)], { ...KEY, path }))).toBe('truncated');
    async function* broken() {
      yield sealed.subarray(0, 150_000);
      throw Object.assign(new Error('connection reset'), { code: 'ECONNRESET' });
    }
    expect(await rejection(openToFile(nodeCrypto, broken(), { ...KEY, path }))).toBe('ECONNRESET');
    expect(await readdir(folder)).toEqual([]);
  });

  it('a signature that does not hold, found only at the end → nothing is released to the name', async () => {
    const signature = { required: true, trusted: [KEYS.valve] };
    const path = join(folder, 'out.bin');
    expect(await rejection(openToFile(nodeCrypto, [sealed], { ...KEY, path, signature }))).toBe('signer_untrusted');
    expect(await readdir(folder)).toEqual([]);
  });

  it('while it is being written → the name does not exist yet', async () => {
    const path = join(folder, 'out.bin');
    const seen: string[][] = [];
    async function* watched() {
      for (let at = 0; at < sealed.length; at += 70_000) {
        yield sealed.subarray(at, at + 70_000);
        seen.push(await readdir(folder));
      }
    }
    await openToFile(nodeCrypto, watched(), { ...KEY, path });
    expect(seen.length).toBe(3);
    for (const names of seen) expect(names).toEqual([expect.stringMatching(/^\.fuselink-[0-9a-f]{16}\.part$/)]);
  });

  it('a name that is taken → EEXIST and untouched, also where it is taken meanwhile; with replace only on success', async () => {
    const path = join(folder, 'out.bin');
    await writeFile(path, 'mine');
    expect(await rejection(openToFile(nodeCrypto, [sealed], { ...KEY, path }))).toBe('EEXIST');
    expect(await rejection(openToFile(nodeCrypto, [sealed.subarray(1)], { ...KEY, path, replace: true }))).toBe(
      'not_sealed',
    );
    expect(await readFile(path, 'utf8')).toBe('mine');
    await openToFile(nodeCrypto, [sealed], { ...KEY, path, replace: true });
    expect(Buffer.compare(await readFile(path), content)).toBe(0);
    const late = join(folder, 'late.bin');
    async function* racing() {
      yield sealed;
      await writeFile(late, 'faster');
    }
    expect(await rejection(openToFile(nodeCrypto, racing(), { ...KEY, path: late }))).toBe('EEXIST');
    expect(await readFile(late, 'utf8')).toBe('faster');
    expect((await readdir(folder)).sort()).toEqual(['late.bin', 'out.bin']);
  });

  it('a disk that fills up, short writes → the error and the source closed; continued until all is written', async () => {
    let closed = 0;
    async function* source() {
      try {
        for (let at = 0; at < sealed.length; at += 10_000) yield sealed.subarray(at, at + 10_000);
      } finally {
        closed += 1;
      }
    }
    const full = {
      write: () => Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })),
    } as unknown as FileHandle;
    expect(await rejection(writeOpened(full, createOpener(nodeCrypto, KEY), source()))).toBe('ENOSPC');
    expect(closed).toBe(1);
    const written: Uint8Array[] = [];
    const short = {
      async write(bytes: Uint8Array, at: number, length: number) {
        const bytesWritten = Math.min(length, 7_000);
        written.push(bytes.slice(at, at + bytesWritten));
        return { bytesWritten };
      },
    } as unknown as FileHandle;
    await writeOpened(short, createOpener(nodeCrypto, KEY), source());
    expect(Buffer.compare(concat(written), content)).toBe(0);
    expect(closed).toBe(2);
  });

  it('a folder that is not there → ENOENT', async () => {
    expect(await rejection(openToFile(nodeCrypto, [sealed], { ...KEY, path: join(folder, 'no', 'x') }))).toBe('ENOENT');
  });
});

describe('sealed source', () => {
  const content = testContent(200_000);
  let path: string;
  let sources: SealedSource[];

  beforeEach(async () => {
    path = join(folder, 'reading.csv');
    await writeFile(path, content);
    sources = [];
  });
  afterEach(async () => {
    for (const source of sources) await source.close();
  });

  async function sourceOf(request: Omit<SealRequest, 'contentBytes'> = { to: TO_LINK }): Promise<SealedSource> {
    const source = await openSealedSource({ crypto: nodeCrypto, random: testRandom('seal') }, path, request);
    sources.push(source);
    return source;
  }

  async function readAll(source: SealedSource, offset = 0, bytesMax = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let total = 0;
    for await (const piece of source.read(offset)) {
      pieces.push(piece);
      total += piece.length;
      if (total >= bytesMax) break;
    }
    return concat(pieces);
  }

  it.each([
    ['unsigned', null],
    ['signed with Ed25519', KEYS.pump],
    ['signed with ML-DSA-65', KEYS.valve],
  ] as const)('%s, read whole → opens, and has the size it said', async (_what, signer) => {
    const source = await sourceOf({ to: TO_OPS, signer, name: 'reading.csv' });
    const sealed = await readAll(source);
    expect(sealed.length).toBe(source.sealedBytes);
    const outcome = openPieces([sealed], { identities: [KEYS.ops] });
    expect([outcome.code, Buffer.compare(outcome.released, content)]).toEqual([null, 0]);
    expect(outcome.report!.manifest).toMatchObject({ name: 'reading.csv', contentBytes: content.length });
    expect(outcome.report!.manifest.modifiedAtMs).toBe(Math.floor((await stat(path)).mtimeMs));
  });

  it.each([null, KEYS.valve])(
    'resumed at any offset, forwards and backwards, after readings left early → the same bytes',
    async (signer) => {
      const source = await sourceOf({ to: TO_OPS, signer });
      await readAll(source, 0, 70_000);
      const tail = await readAll(source, 150_000);
      const whole = await readAll(source);
      expect(Buffer.compare(tail, whole.subarray(150_000))).toBe(0);
      for (const offset of [
        0,
        1,
        42,
        1_247,
        1_248,
        66_799,
        66_800,
        whole.length - 3_400,
        whole.length - 1,
        whole.length,
      ]) {
        const again = await readAll(source, offset);
        expect(Buffer.compare(again, whole.subarray(offset)), `offset ${offset}`).toBe(0);
      }
      expect(openPieces([whole], { identities: [KEYS.ops] }).code).toBeNull();
    },
  );

  it('left early and begun again from the start, before the signature exists → each byte enters it once', async () => {
    const source = await sourceOf({ to: TO_OPS, signer: KEYS.pump });
    await readAll(source, 0, 140_000);
    await readAll(source, 10, 60_000);
    const outcome = openPieces([await readAll(source)], { identities: [KEYS.ops] });
    expect([outcome.code, Buffer.compare(outcome.released, content)]).toEqual([null, 0]);
  });

  /** A file whose bytes can change without its stat showing it, and whose reads and stats can fail. */
  function unseenFile(bytes: Uint8Array) {
    const failures: string[] = [];
    const fail = (what: string) => {
      const at = failures.indexOf(what);
      if (at < 0) return;
      failures.splice(at, 1);
      throw Object.assign(new Error(`EIO: ${what}`), { code: 'EIO' });
    };
    const state = { dev: 1n, ino: 1n, size: BigInt(bytes.length), mtimeNs: 1n, ctimeNs: 1n };
    const handle = {
      async stat() {
        fail('stat');
        return state;
      },
      async read(target: Uint8Array, at: number, length: number, position: number) {
        fail('read');
        const part = bytes.subarray(position, position + Math.min(length, 30_000)); // short reads, as pipes and disks do
        target.set(part, at);
        return { bytesRead: part.length };
      },
      async close() {},
    };
    return { handle: handle as unknown as FileHandle, state, failures };
  }

  it.each([null, KEYS.pump])(
    'bytes changed where stat does not show it → the chunk sealed before is never given out in another form',
    async (signer) => {
      const bytes = content.slice();
      const { handle, state } = unseenFile(bytes);
      const effects = { crypto: nodeCrypto, random: testRandom('seal') };
      const sealing = beginSealing(effects, { to: TO_LINK, signer, contentBytes: bytes.length });
      const source = new SealedSource(effects, sealing, handle, state);
      const whole = await readAll(source);
      bytes[100_000]! ^= 1;
      const again: Uint8Array[] = [];
      const code = await rejection(
        (async () => {
          for await (const piece of source.read()) again.push(piece);
        })(),
      );
      expect(code).toBe('source_changed');
      const given = concat(again);
      expect(Buffer.compare(given, whole.subarray(0, given.length))).toBe(0);
      bytes[100_000]! ^= 1;
      expect(await rejection(readAll(source))).toBe('source_changed');
    },
  );

  it('reads and stats that fail once, at every call → the error, then resuming gives the same file, signature included', async () => {
    for (let call = 1; call <= 9; call++) {
      for (const what of ['read', 'stat']) {
        const { handle, state, failures } = unseenFile(content);
        const effects = { crypto: nodeCrypto, random: testRandom('seal') };
        const sealing = beginSealing(effects, { to: TO_LINK, signer: KEYS.pump, contentBytes: content.length });
        const source = new SealedSource(effects, sealing, handle, state);
        let countdown = call;
        const original = handle[what as 'read'].bind(handle);
        (handle as unknown as Record<string, unknown>)[what] = (...given: Parameters<typeof original>) => {
          countdown -= 1;
          if (countdown === 0) failures.push(what);
          return original(...given);
        };
        const sealed: Uint8Array[] = [];
        for (let failed = true; failed; ) {
          try {
            for await (const piece of source.read(concat(sealed).length)) sealed.push(piece);
            failed = false;
          } catch (error) {
            expect((error as { code: string }).code).toBe('EIO');
          }
        }
        const outcome = openPieces(sealed, KEY);
        expect({ call, what, code: outcome.code }).toEqual({ call, what, code: null });
        expect(Buffer.compare(outcome.released, content)).toBe(0);
      }
    }
  });

  it('bytes changed in place with the modification time put back → source_changed', async () => {
    const source = await sourceOf();
    const before = await readAll(source, 0, 140_000);
    const times = await stat(path);
    const file = await open(path, 'r+');
    await file.write(Uint8Array.of(content[1_000]! ^ 1), 0, 1, 1_000);
    await file.close();
    await utimes(path, times.atime, times.mtime);
    expect(await rejection(readAll(source))).toBe('source_changed');
    expect(await rejection(readAll(source, before.length))).toBe('source_changed');
  });

  it('grown, shrunk or touched while it is read → source_changed, at once and for ever', async () => {
    const changes: (() => Promise<unknown>)[] = [
      () => writeFile(path, 'x', { flag: 'a' }),
      () => truncate(path, 150_000),
      () => truncate(path, 0),
      () => utimes(path, 1, 1),
    ];
    for (const change of changes) {
      await writeFile(path, content);
      const source = await sourceOf();
      const reading = source.read();
      await reading.next();
      await reading.next();
      await change();
      // What of the chunk was sealed before may still come; nothing is read any more.
      expect(await rejection(drain(reading))).toBe('source_changed');
      expect(await rejection(readAll(source))).toBe('source_changed');
    }
  });

  it('the same file sealed afresh → another content key, another file', async () => {
    const effects = { crypto: nodeCrypto, random: { bytes: testRandom('one stream').bytes } };
    const first = await openSealedSource(effects, path, { to: TO_LINK });
    const second = await openSealedSource(effects, path, { to: TO_LINK });
    sources.push(first, second);
    expect(first.fragment).not.toBe(second.fragment);
    const [a, b] = [await readAll(first), await readAll(second)];
    expect(Buffer.compare(a.subarray(75, 1_000), b.subarray(75, 1_000))).not.toBe(0);
  });

  it('an empty file → opens', async () => {
    await writeFile(path, '');
    const source = await sourceOf({ to: TO_LINK, signer: KEYS.pump });
    expect(openPieces([await readAll(source)], KEY)).toMatchObject({ code: null, report: { contentBytes: 0 } });
  });

  it('offsets outside, two readings at once, a folder, nothing there, after close → typed refusals', async () => {
    const source = await sourceOf();
    await expect(readAll(source, -1)).rejects.toThrow(RangeError);
    await expect(readAll(source, source.sealedBytes + 1)).rejects.toThrow(RangeError);
    const reading = source.read();
    await reading.next();
    await expect(readAll(source)).rejects.toThrow('is being read');
    await reading.return();
    await expect(
      openSealedSource({ crypto: nodeCrypto, random: testRandom('x') }, folder, { to: TO_LINK }),
    ).rejects.toThrow(TypeError);
    expect(
      await rejection(
        openSealedSource({ crypto: nodeCrypto, random: testRandom('x') }, join(folder, 'none'), { to: TO_LINK }),
      ),
    ).toBe('ENOENT');
    const closed = await openSealedSource({ crypto: nodeCrypto, random: testRandom('x') }, path, { to: TO_LINK });
    await closed.close();
    expect(await rejection(readAll(closed))).toBe('source_changed');
  });
});

describe('key files', () => {
  it('written → 0600, read back, never overwritten', async () => {
    const path = join(folder, 'ops.key');
    await writeKeyFile(nodeCrypto, path, KEYS.ops, encodeSecretKey(nodeCrypto, KEYS.ops));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readKeyFile(nodeCrypto, path)).toEqual([KEYS.ops]);
    expect(await rejection(writeKeyFile(nodeCrypto, path, KEYS.ops, 'x'))).toBe('EEXIST');
    expect(await readKeyFile(nodeCrypto, path)).toEqual([KEYS.ops]);
  });

  it('readable by others → key_malformed; locked → asks for the passphrase', async () => {
    const path = join(folder, 'ops.key');
    const locked = lockSecretKey({ crypto: nodeCrypto, random: testRandom('lock') }, KEYS.ops, 'open', 10);
    await writeKeyFile(nodeCrypto, path, KEYS.ops, locked);
    expect(await readKeyFile(nodeCrypto, path, () => 'open')).toEqual([KEYS.ops]);
    await chmod(path, 0o640);
    expect(await rejection(readKeyFile(nodeCrypto, path, () => 'open'))).toBe('key_malformed');
  });
});

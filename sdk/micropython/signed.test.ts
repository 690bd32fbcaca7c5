import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startFlakyProxy } from '../../test/support/flaky-proxy.ts';
import { readLink } from '../../test/support/read-back.ts';
import { startTestServer, type TestServer } from '../../test/support/test-server.ts';
import { type ForgingProxy, type Passing, startForgingProxy } from './testing/forging-proxy.ts';
import { content, type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

onEachInterpreter('signed requests, on a line that nobody protects', (open) => {
  let python: Interpreter;
  let server: TestServer;
  let line: ForgingProxy;
  let device: { id: DeviceId; key: string };
  let devices = 0;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));
  const send = async (words: string) =>
    JSON.parse(await python.run(`print(testkit.attempt(lambda: device.client.send(${words})))`));
  const base = () => value('device.client.rotation.agent.base');

  beforeAll(async () => {
    python = await open();
    server = await startTestServer();
  });
  afterAll(async () => {
    await python?.close();
    await server?.close();
  });
  beforeEach(async () => {
    line = await startForgingProxy(server.port);
    const made = await enrolDevice(server.deps, server.operator, { name: `signing ${++devices}` });
    device = { id: made.device.id as DeviceId, key: made.key };
    await python.run('store = testkit.CutStore(); told = []');
    const words = [made.key, device.id, made.recoverySecret].map(literal).join(', ');
    await python.run(`fuselink.provision(store, ${words})`);
    await python.run(
      `device = testkit.Device(${literal(line.url)}, store, signed=True, tell=told.append); device.state()`,
    );
  });
  afterEach(() => line.close());

  test('in one request, resumable in pieces of 1 KB, and from a pipe → the links give the bytes; the key never travels', async () => {
    for (const [from, count] of [
      ['testkit.content(700)', 700],
      ['testkit.content(9000)', 9000],
      ['testkit.Pipe(testkit.content(3000))', 3000],
    ] as const) {
      const sent = await send(`${from}, filename="café.csv", give_up_seconds=0`);
      expect(sent.url).toMatch(/\/get\/[\w-]{43}$/);
      expect((await readLink(server, sent.url)).bytes.equals(content(count))).toBe(true);
    }
    expect(line.seen.toLowerCase()).not.toContain(device.key);
    expect(line.seen.toLowerCase()).not.toContain('authorization');
    const lengths = [...line.seen.matchAll(/^PATCH [^\n]*\n[\s\S]*?\ncontent-length\n(\d+)\n/gim)].map((m) =>
      Number(m[1]),
    );
    expect(Math.max(...lengths)).toBe(1024);
  });

  test('two rotations → the keys come wrapped, none of them was ever on the line', async () => {
    const keys = [device.key];
    for (const generation of [2, 3]) {
      await orderRotation(server.deps, server.operator, device.id, { verb: 'rotate', plan: { soakMs: 0 } });
      const state = await value(`device.live(8, ${generation})`);
      expect([state.phase, state.mirrored, state.base[0]]).toEqual(['SETTLED', true, generation]);
      expect(await lookAtRotation(server.deps, server.operator, device.id)).toMatchObject({
        state: 'IDLE',
        active: state.base[2],
      });
      keys.push(await value('device.client.rotation.key().text()'));
    }
    expect(new Set(keys).size).toBe(3);
    for (const key of keys) expect(line.seen.toLowerCase()).not.toContain(key);
  });

  test('quarantined → recovers with a key of its own, whose signatures are checked from then on; it was never on the line', async () => {
    await orderRotation(server.deps, server.operator, device.id, { verb: 'quarantine', reason: 'test' });
    const state = await value('device.live(20, 2)');
    expect([state.phase, state.mirrored]).toEqual(['SETTLED', true]);
    expect((await lookAtRotation(server.deps, server.operator, device.id)).active).toBe(state.base[2]);
    expect((await send('b"after", give_up_seconds=0')).size).toBe(5);
    const fresh = await value('device.client.rotation.key().text()');
    expect(fresh).not.toBe(device.key);
    for (const key of [device.key, fresh]) expect(line.seen.toLowerCase()).not.toContain(key);
    expect(line.seen.toLowerCase()).not.toContain('authorization');
  });

  test('lost answers → the same transfer, each nonce used once', async () => {
    const flaky = await startFlakyProxy(server.port, (n) => (n < 3 ? { cutAfterDownBytes: 1 + n * 900 } : {}));
    await python.run(`device.client.wire = fuselink.Wire(${literal(flaky.url)})`);
    const sent = await send('testkit.content(5000)');
    expect((await readLink(server, sent.url.replace(line.url, server.url))).bytes.equals(content(5000))).toBe(true);
    expect(flaky.cuts).toBe(3);
    await flaky.close();
  });

  describe('somebody on the line', () => {
    const json = (answer: Passing, status: number, body: object) => {
      answer.status = status;
      answer.body = Buffer.from(JSON.stringify(body));
    };
    const unsigned = (answer: Passing): void => {
      for (const name of ['signature', 'signature-input', 'content-digest']) delete answer.headers[name];
    };
    const upload = ({ path }: Passing) => path === '/v1/upload';

    test.each([
      [
        'a 201 that is not the server’s',
        (answer: Passing) => {
          unsigned(answer);
          json(answer, 201, { id: 'x', url: 'http://evil/get/x', size: 3, sha256: 'ba7816bf' });
        },
      ],
      ['the server’s answer without its signature', unsigned],
      ['another status', (answer: Passing) => Object.assign(answer, { status: 200 })],
      ['another body', (answer: Passing) => json(answer, 201, { ...JSON.parse(answer.body.toString()), size: 4 })],
      [
        'another link',
        (answer: Passing) => Object.assign(answer.headers, { 'fuselink-wrapped-link': 'ab'.repeat(40) }),
      ],
      [
        'a page',
        (answer: Passing) => {
          unsigned(answer);
          answer.body = Buffer.from('<html>');
          answer.status = 200;
        },
      ],
    ] as const)('%s → as if no answer had come; then the truth, and one transfer', async (_what, forge) => {
      line.forge = (answer) => {
        if (upload(answer)) forge(answer);
      };
      const refused = await send('b"abc", filename="forged", give_up_seconds=0');
      expect([refused.code, refused.resumable]).toEqual(['answer_unsigned', true]);
      line.forge = null;
      expect((await send('b"abc", filename="forged"')).sha256).toMatch(/^ba7816bf/);
    });

    test.each([
      ['settled', 'settled;gen=7'],
      ['a wish', 'wanted;gen=9;base=BASE;source=offer'],
      ['recoverable', 'recoverable;gen=9;base=BASE'],
    ])('news of a rotation (%s) put into every answer → no slot and no phase changes', async (_what, told) => {
      const [, , fingerprint] = await base();
      const before = await value('[fuselink.hexed(store.read("slot0")), fuselink.hexed(store.read("slot1"))]');
      line.forge = ({ headers }) => Object.assign(headers, { 'fuselink-rotation': told.replace('BASE', fingerprint) });
      await send('b"abc", give_up_seconds=0');
      await value('device.client.tick()');
      expect(await value('[fuselink.hexed(store.read("slot0")), fuselink.hexed(store.read("slot1"))]')).toEqual(before);
      expect((await value('device.state()')).phase).toBe('SETTLED');
    });

    test('key_revoked with the key’s own fingerprint, unsigned, in the middle of a rotation → both keys stay', async () => {
      await orderRotation(server.deps, server.operator, device.id, { verb: 'rotate', plan: { soakMs: 0 } });
      const fingerprints = new Set<string>();
      line.forge = (answer) => {
        const keyId = answer.headers['signature-input']?.match(/keyid="[^"]*:([0-9a-f]{16})"/)?.[1] ?? '';
        if (keyId !== '') fingerprints.add(keyId);
        if (answer.path === '/v1/device/rotation') return;
        unsigned(answer);
        json(answer, 401, { code: 'key_revoked', detail: 'gone', fingerprint: keyId });
      };
      await value('device.live(3)');
      const held = await value('[record and record.fingerprint for record in fuselink.Slots(store).pair()]');
      expect(held.every((one: unknown) => typeof one === 'string')).toBe(true);
      line.forge = null;
      const state = await value('device.live(12, 2)');
      expect([state.phase, state.base[0]]).toEqual(['SETTLED', 2]);
    });

    test('nonces of its own in every third answer → more requests, and stored all the same', async () => {
      let turn = 0;
      line.forge = (answer) => {
        if (turn++ % 3 === 0) answer.headers['fuselink-nonce'] = 'A'.repeat(44);
      };
      expect((await send('b"abc"')).sha256).toMatch(/^ba7816bf/);
    });
  });
});

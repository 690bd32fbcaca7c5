import { createServer, type IncomingHttpHeaders, request as nodeRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CutFlash, cutFlash, steadyPower } from '#sdk/core';
import type { DeviceId } from '../../server/domain/ids.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { startTestServer, type TestKey, type TestServer } from '../support/test-server.ts';
import { espruinoBundle } from './bundle.ts';
import { Realm } from './realm.ts';

interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}
interface Said {
  status: number;
  headers: Record<string, string>;
  body: string;
}
/** What the machine in the middle says; `genuine` asks the server, which it need not do. */
type Forge = (seen: Seen, genuine: () => Promise<Said>) => Promise<Said>;

let server: TestServer;
let bundle: string;
let readable: string;
let proxy: Server;
let port: number;
let forge: Forge = (_seen, genuine) => genuine();
let aheadMs = 0;

beforeAll(async () => {
  [bundle, readable] = await Promise.all([espruinoBundle(), espruinoBundle(false)]);
  server = await startTestServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
  const { clock } = server.deps;
  server.deps.clock = { nowMs: () => clock.nowMs() + Math.floor(aheadMs), monotonicMs: () => clock.monotonicMs() };
  proxy = createServer(async (req, res) => {
    const pieces: Buffer[] = [];
    for await (const piece of req) pieces.push(piece as Buffer);
    const seen = { method: req.method ?? '', path: req.url ?? '', headers: req.headers, body: Buffer.concat(pieces) };
    const { status, headers, body } = await forge(seen, () => ask(seen));
    const { 'transfer-encoding': _chunked, ...rest } = headers;
    res.writeHead(status, { ...rest, 'content-length': String(Buffer.byteLength(body)) });
    res.end(body);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  port = (proxy.address() as AddressInfo).port;
});
afterAll(async () => {
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
  await server.close();
});

function ask({ method, path, headers, body }: Seen): Promise<Said> {
  return new Promise((resolve, reject) => {
    const sent = nodeRequest(
      { host: '127.0.0.1', port: server.port, method, path, headers, agent: false },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            body: Buffer.concat(pieces).toString(),
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

interface Device {
  key: TestKey;
  flash: CutFlash;
  realm: Realm;
  ended: string[];
  until(done: () => boolean | Promise<boolean>, ms?: number): Promise<boolean>;
}

async function boot(text = bundle): Promise<Device> {
  const key = await server.device();
  const flash = cutFlash(steadyPower(), 2, 128);
  const realm = new Realm({ bundle: text, flash });
  realm.connect({ host: '127.0.0.1', port, device: key.deviceId, key: key.key });
  const until: Device['until'] = async (done, ms) => {
    const [before, begun] = [aheadMs, realm.nowMs];
    const reached = await realm.until(() => {
      aheadMs = before + realm.nowMs - begun;
      return done();
    }, ms);
    aheadMs = before + realm.nowMs - begun;
    return reached;
  };
  return { key, flash, realm, ended: [], until };
}

const HOUR_MS = 3_600_000;
const send = (device: Device, text: string) =>
  device.realm.client?.send(text, {}, (error, told) => device.ended.push(error ?? told['fuselink-id'] ?? 'nothing'));
const isUpload = ({ path }: Seen) => path.startsWith('/v1/uploads');
const stored = async (device: Device) =>
  (await server.deps.store.list('transfers', { where: [], orderBy: [['id', 'asc']], limit: 200 })).filter(
    (row) => row.device_id === device.key.deviceId && row.state === 'ready',
  ).length;
const fingerprint = async (device: Device) =>
  (await server.deps.store.get('api_keys', { id: device.key.id }))?.fingerprint ?? '';

/** Answers a machine could give that has no key, to a device that has sent `text`. */
const FORGERIES: [string, (device: Device) => Promise<Forge>][] = [
  [
    'success that never was',
    async () => async (seen, genuine) =>
      isUpload(seen)
        ? {
            status: 201,
            headers: { 'upload-offset': '4', 'fuselink-id': 'forged', location: '/v1/uploads/x' },
            body: '',
          }
        : genuine(),
  ],
  [
    'success with a signature of somebody else',
    async () => async (seen, genuine) => {
      const { headers } = await ask({ ...seen, path: '/v1/device', method: 'GET', body: Buffer.alloc(0) });
      return isUpload(seen) ? { status: 204, headers: { ...headers, 'upload-offset': '4' }, body: '' } : genuine();
    },
  ],
  [
    'the answer to an earlier request, signed by the server',
    async (device) => {
      let recorded: Said | null = null;
      let nonce = '';
      forge = async (seen, genuine) => {
        const said = await genuine();
        if (isUpload(seen) && said.status === 201) {
          recorded = said;
          nonce = /nonce="([^"]*)"/.exec(String(seen.headers['signature-input']))?.[1] ?? '';
        }
        return said;
      };
      send(device, 'once');
      await device.until(() => device.ended.length === 1);
      device.ended.length = 0;
      return async (seen, genuine) => {
        // With the very nonce it was given for, so that the device signs with that again.
        if (isUpload(seen) && recorded !== null)
          return { ...recorded, headers: { ...recorded.headers, 'fuselink-nonce': nonce } };
        return genuine();
      };
    },
  ],
  [
    'a revocation of its key',
    async (device) => {
      const revoked = JSON.stringify({ status: 401, code: 'key_revoked', fingerprint: await fingerprint(device) });
      return async () => ({ status: 401, headers: { 'content-type': 'application/problem+json' }, body: revoked });
    },
  ],
  [
    'a genuine answer with another status',
    async () => async (seen, genuine) => {
      const said = await genuine();
      return isUpload(seen) ? { ...said, status: 400 } : said;
    },
  ],
  [
    'wishes, settlements and revocations added to what is genuine',
    async (device) => {
      const told = `settled;gen=9, wanted;gen=9;base=${await fingerprint(device)};source=offer`;
      return async (_seen, genuine) => {
        const said = await genuine();
        return { ...said, headers: { ...said.headers, 'fuselink-rotation': told } };
      };
    },
  ],
  [
    'nonces that nobody gave',
    async () => async (_seen, genuine) => {
      const said = await genuine();
      return { ...said, headers: { ...said.headers, 'fuselink-nonce': '9999999999.forged' } };
    },
  ],
  [
    'a page that wants a sign-in first',
    async () => async () => ({ status: 200, headers: {}, body: '<html>Welcome</html>' }),
  ],
  ['an answer without end', async () => async () => ({ status: 200, headers: {}, body: 'x'.repeat(100_000) })],
];

/** What came of an hour behind a machine that forges, and of an honest one afterwards. */
async function ordeal(
  device: Device,
  forged: Forge,
): Promise<{ slots: boolean; believed: string[]; arrived: boolean; rotation: string }> {
  const before = device.flash.fingerprint();
  forge = forged;
  const had = await stored(device);
  send(device, 'data');
  await device.until(() => device.ended.length > 0, HOUR_MS);
  const believed = (await stored(device)) > had ? [] : [...device.ended];
  const rotation = device.realm.client?.rotation() ?? '';
  const slots = device.flash.fingerprint() === before;
  forge = (_seen, genuine) => genuine();
  await device.until(() => device.ended.length > 0, HOUR_MS);
  return { slots, believed, arrived: (await stored(device)) === had + 1 && device.ended.length === 1, rotation };
}

describe('a machine in the middle', () => {
  test.each(FORGERIES)(
    '%s → no slot changes, nothing is taken for delivered, and all arrives once it is gone',
    async (_name, make) => {
      const device = await boot();
      const came = await ordeal(device, await make(device));
      expect(came).toEqual({ slots: true, believed: [], arrived: true, rotation: 'SETTLED' });
      expect(device.realm.faults).toEqual([]);
    },
  );

  test('halfway through a rotation: forged settlements and revocations → both keys stay in their slots', async () => {
    const device = await boot();
    forge = (_seen, genuine) => genuine();
    await orderRotation(server.deps, server.operator, device.key.deviceId as DeviceId, {
      verb: 'rotate',
      plan: { soakMs: 24 * HOUR_MS },
    });
    const proven = await device.until(() => device.realm.client?.rotation() === 'PROVEN', HOUR_MS);
    expect(proven).toBe(true);
    const before = device.flash.fingerprint();
    const revoked = JSON.stringify({ status: 401, code: 'key_revoked', fingerprint: await fingerprint(device) });
    let n = 0;
    forge = async (_seen, genuine) => {
      const said = await genuine();
      if (n++ % 2 === 0) return { status: 401, headers: said.headers, body: revoked };
      return { ...said, headers: { ...said.headers, 'fuselink-rotation': 'settled;gen=2' } };
    };
    await device.until(() => false, 2 * HOUR_MS);
    expect(n).toBeGreaterThan(3);
    expect(device.flash.fingerprint()).toBe(before);
    expect(device.realm.client?.rotation()).toBe('PROVEN');
  });

  test('an offer that was altered on the way → nothing is staged, and the next one is', async () => {
    const device = await boot();
    const before = device.flash.fingerprint();
    forge = async (seen, genuine) => {
      const said = await genuine();
      return seen.path === '/v1/device/rotation'
        ? { ...said, body: said.body.replace(/"wrapped_key":"../, '"wrapped_key":"00') }
        : said;
    };
    await orderRotation(server.deps, server.operator, device.key.deviceId as DeviceId, {
      verb: 'rotate',
      plan: { soakMs: 0 },
    });
    await device.until(() => false, HOUR_MS / 6);
    expect(device.flash.fingerprint()).toBe(before);
    // As often as its back-off allows, and not as often as the wish is told.
    expect(device.realm.requests).toBeLessThan(400);
    forge = (_seen, genuine) => genuine();
    const settled = async () =>
      ((await server.deps.store.get('rotations', { device_id: device.key.deviceId as DeviceId }))?.rotation
        .settledGeneration ?? 0) > 1;
    expect(await device.until(settled, 24 * HOUR_MS)).toBe(true);
  });

  test('canary: a device that looks at what nobody vouches for → believes each of them', async () => {
    const gullible = readable
      .replace(/\? told : null;/, '? told : fields;')
      .replace(/(ANSWER_COVERS_START\) !== 0\)) return null;/, '$1 return fields;');
    expect(gullible).not.toBe(readable);
    const [, success] = FORGERIES[0] as (typeof FORGERIES)[0];
    const first = await boot(gullible);
    expect((await ordeal(first, await success(first))).believed).toEqual(['forged']);
    const [, revocation] = FORGERIES[3] as (typeof FORGERIES)[0];
    const second = await boot(gullible);
    expect((await ordeal(second, await revocation(second))).rotation).toBe('LIMBO');
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSealer, nodeCrypto, nodeRandom } from '#sdk/seal/node';
import { HEADER_ON_BEHALF } from '../../http/gateway-caller.ts';
import { type Called, type Kit, startKit, type TestAccount } from '../../testing/server-kit.ts';
import { SigningDevice } from '../../testing/signing-device.ts';
import { operatorOf } from '../account/create-account.ts';
import { changeAccount } from '../account/settings.ts';
import { addGateway } from '../gateway/gateways.ts';

let kit: Kit;
let account: TestAccount;
let enrolled: { id: string; key: string };
let devices = 0;
let gateways = 0;

beforeAll(async () => {
  kit = await startKit();
  account = await kit.account();
  await changeAccount(kit.server.deps, operatorOf(account.accountId, account.row), { requireSealed: true });
});
beforeEach(async () => {
  enrolled = await account.device(`device ${++devices}`);
});
afterAll(() => kit.stop());

const sealed = (): Uint8Array => {
  const sealer = createSealer({ crypto: nodeCrypto, random: nodeRandom }, { to: { kind: 'link' } });
  return Buffer.concat([...sealer.push(new Uint8Array(2000)), ...sealer.finish()]);
};

async function signedTus(body: Uint8Array): Promise<Called> {
  const device = new SigningDevice(kit, enrolled);
  const tus = { 'tus-resumable': '1.0.0' };
  const headers = { ...tus, 'upload-length': String(body.length) };
  const created = await device.call({ target: '/v1/uploads', headers });
  const target = new URL(created.headers.get('location') ?? '').pathname;
  let last = created;
  for (let at = 0; at < body.length && last.status < 300; at += 500) {
    const piece = { ...tus, 'upload-offset': String(at), 'content-type': 'application/offset+octet-stream' };
    last = await device.call({ method: 'PATCH', target, headers: piece, body: body.subarray(at, at + 500) });
  }
  return last;
}

async function byGateway(body: Uint8Array): Promise<Called> {
  const { deps } = kit.server;
  const operator = operatorOf(account.accountId, account.row);
  const gateway = await addGateway(deps, operator, { name: `hall ${++gateways}`, devices: [enrolled.id] });
  return kit.call('POST', '/v1/upload', { apiKey: gateway.key, headers: { [HEADER_ON_BEHALF]: enrolled.id }, body });
}

/** Each way a device's file comes in, beside those of `require-sealed.test.ts`. */
const WAYS: Record<string, (body: Uint8Array) => Promise<Called>> = {
  'a device key': (body) => kit.call('POST', '/v1/upload', { apiKey: enrolled.key, body }),
  'a signed request': (body) => new SigningDevice(kit, enrolled).call({ body }),
  'signed pieces, resumable': signedTus,
  'a gateway for its device': byGateway,
};

describe('require_sealed', () => {
  test.each(Object.keys(WAYS))('%s → unsealed is 422 and leaves nothing to read, sealed passes', async (way) => {
    const plain = await WAYS[way]?.(Buffer.alloc(2000, 7));
    expect([plain?.status, plain?.json?.code]).toEqual([422, 'unsealed_refused']);
    const list = async () => {
      const target = `/v1/transfers?device=${enrolled.id}&state=ready`;
      return (await kit.call('GET', target, { apiKey: account.apiKey })).json.transfers as { sealed: boolean }[];
    };
    expect(await list()).toEqual([]);
    expect((await WAYS[way]?.(sealed()))?.status).toBeLessThan(300);
    expect((await list()).map((transfer) => transfer.sealed)).toEqual([true]);
  });
});

import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../../test/support/until.ts';
import { endsOf, hexEnd, socketState, stateIn } from './socket-state.ts';

const LINUX = process.platform === 'linux';

async function pair(host: string): Promise<{ server: Socket; client: Socket; close(): void }> {
  const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  listener.listen(0, host);
  await once(listener, 'listening');
  const client = createConnection({ port: (listener.address() as AddressInfo).port, host, allowHalfOpen: true });
  const [server] = (await once(listener, 'connection')) as [Socket];
  if (client.connecting) await once(client, 'connect');
  server.on('error', () => {});
  client.on('error', () => {});
  return {
    server,
    client,
    close() {
      server.destroy();
      client.destroy();
      listener.close();
    },
  };
}

describe('socketState', () => {
  it.skipIf(!LINUX).each(['127.0.0.1', '::1'])(
    '%s: what the other side has not taken, and that it closed → seen',
    async (host) => {
      const { server, client, close } = await pair(host);
      try {
        const ends = endsOf(server);
        client.pause();
        expect(await socketState(ends)).toEqual({ kind: 'known', unackedBytes: 0, peerClosed: false });
        server.write(Buffer.alloc(32_000_000));
        await until('bytes in flight', async () => {
          const state = await socketState(ends);
          return state.kind === 'known' && state.unackedBytes > 0;
        });
        client.resume();
        client.end();
        const taken = await until('everything taken and closed', async () => {
          const state = await socketState(ends);
          return state.kind === 'known' && state.unackedBytes === 0 && state.peerClosed;
        });
        expect(taken).toBe(true);
      } finally {
        close();
      }
    },
  );

  it.skipIf(!LINUX)('reset → gone; a socket that Node has let go of → gone', async () => {
    const { server, client, close } = await pair('127.0.0.1');
    try {
      const ends = endsOf(server);
      server.write('x');
      client.resetAndDestroy();
      await until('gone', async () => (await socketState(ends)).kind === 'gone');
      server.destroy();
      expect(endsOf(server)).toBeNull();
      expect(await socketState(null)).toEqual({ kind: 'gone' });
    } finally {
      close();
    }
  });

  it('a row left out of one reading of the table → looked for again; left out of each → gone', async () => {
    const ends = '0100007F:1F90 0100007F:C350 ';
    const row = `   0: ${ends}08 00000000:00000000 00:00000000\n`;
    const readings = [[''], [''], [row]];
    let reads = 0;
    const read = async () => readings[Math.min(reads++, 2)] ?? null;
    expect(await socketState(ends, read)).toEqual({ kind: 'known', unackedBytes: 0, peerClosed: true });
    expect(reads).toBe(3);
    expect(await socketState(ends, async () => [''])).toEqual({ kind: 'gone' });
  });

  it('the table of the system: read by both ends', () => {
    const tables = [
      '  sl  local_address rem_address   st tx_queue rx_queue\n' +
        '   0: 0100007F:1F90 0100007F:C350 08 00000000:00000001 00:00000000\n' +
        '   1: 0100007F:1F90 0100007F:C351 01 0001A2B3:00000000 00:00000000\n',
      '   0: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:C352 06 00000000:00000000 03:1\n',
    ];
    expect(stateIn(tables, '0100007F:1F90 0100007F:C350 ')).toEqual({
      kind: 'known',
      unackedBytes: 0,
      peerClosed: true,
    });
    expect(stateIn(tables, '0100007F:1F90 0100007F:C351 ')).toEqual({
      kind: 'known',
      unackedBytes: 0x1a2b3,
      peerClosed: false,
    });
    const mapped = '0000000000000000FFFF00000100007F';
    expect(stateIn(tables, `${mapped}:1F90 ${mapped}:C352 `)).toMatchObject({ peerClosed: true });
    expect(stateIn(tables, '0100007F:1F90 0100007F:C353 ')).toEqual({ kind: 'gone' });
  });

  it.skipIf(!LINUX).each([
    ['127.0.0.1', 8080, '0100007F:1F90'],
    ['192.0.2.254', 443, 'FE0200C0:01BB'],
    ['::1', 80, '00000000000000000000000001000000:0050'],
    ['::ffff:127.0.0.1', 80, '0000000000000000FFFF00000100007F:0050'],
    ['2001:db8::a:b%eth0', 1, 'B80D012000000000000000000B000A00:0001'],
  ])('hexEnd: %s port %i → as the kernel prints it on this machine', (address, port, text) => {
    expect(hexEnd(address, port)).toBe(text);
  });
});

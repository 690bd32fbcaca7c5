import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

/** What becomes of one connection. Bytes are counted from its start. */
export interface ConnectionPlan {
  /** Cut when this many bytes went from client to server. */
  cutAfterUpBytes?: number;
  /** Cut when this many bytes went from server to client. */
  cutAfterDownBytes?: number;
  /**
   * `reset` (the default) kills both sides, and with them what the server has not read yet; `close` lets it read that
   * first; `silence` keeps both open and lets nothing through any more.
   */
  how?: 'reset' | 'close' | 'silence';
}

export interface FlakyProxy {
  url: string;
  port: number;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that met their plan's cut. */
  readonly cuts: number;
  /** Resets everything under way. */
  cutAll(): void;
  close(): Promise<void>;
}

/** A TCP proxy in front of `port` that treats its n-th connection (from 0) as `plan(n)` says. */
export async function startFlakyProxy(
  port: number,
  plan: (connection: number) => ConnectionPlan = () => ({}),
): Promise<FlakyProxy> {
  const open = new Set<Socket>();
  let connections = 0;
  let cuts = 0;
  const server = createServer({ noDelay: true }, (client) => {
    const fate = plan(connections++);
    const upstream = createConnection({ port, host: '127.0.0.1', noDelay: true });
    let over = false;
    const end = () => {
      for (const socket of [client, upstream]) {
        open.delete(socket);
        if (!socket.destroyed) socket.resetAndDestroy();
      }
    };
    const cut = () => {
      over = true;
      cuts++;
      if (fate.how !== 'silence' && fate.how !== 'close') return end();
      for (const socket of [client, upstream]) {
        socket.removeAllListeners('data').resume();
        if (fate.how === 'close') socket.end(() => client.destroy());
      }
    };
    for (const [from, to, limit] of [
      [client, upstream, fate.cutAfterUpBytes],
      [upstream, client, fate.cutAfterDownBytes],
    ] as const) {
      let passed = 0;
      open.add(from);
      from.on('error', end);
      from.on('close', () => over || end());
      from.on('end', () => over || to.end());
      from.on('data', (bytes: Buffer) => {
        if (over) return;
        const room = limit === undefined ? bytes.length : Math.min(bytes.length, limit - passed);
        passed += room;
        const ready = to.write(bytes.subarray(0, room));
        if (limit !== undefined && passed >= limit) return cut();
        if (ready) return;
        from.pause();
        to.once('drain', () => from.resume());
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  const cutAll = () => {
    for (const socket of [...open]) if (!socket.destroyed) socket.resetAndDestroy();
  };
  return {
    url: `http://127.0.0.1:${own}`,
    port: own,
    get connections() {
      return connections;
    },
    get cuts() {
      return cuts;
    },
    cutAll,
    async close() {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  };
}

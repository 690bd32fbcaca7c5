import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastify from 'fastify';
import type { AccountId, KeyId } from '../domain/ids.ts';
import type { Write } from '../ports/metadata-store.ts';
import { readSettings } from '../settings.ts';
import { createAccount } from '../usecases/account/create-account.ts';
import type { Deps } from '../usecases/deps.ts';
import { authenticate } from '../usecases/key/authenticate.ts';
import { mintKey } from '../usecases/key/mint-key.ts';
import { wire } from '../wiring.ts';
import type { HttpSettings, RouteDef } from './route.ts';
import { serve } from './serve.ts';

/**
 * `npx tsx server/http/authenticate.bench.ts [keys]`: what authentication costs a small request (the same route with
 * and without it, over HTTP, on SQLite), and the look-up alone while the stored keys grow from 10 to 1,000,000.
 */
const CONNECTIONS = 32;
const ROUND_MS = 1_500;
const ROUNDS = 5;
const KEYS_MAX = Number(process.argv[2] ?? 1_000_000);
const INSERTED_AT_ONCE = 10_000;
const LOOKUPS = 20_000;

interface Load {
  port: number;
  path: string;
  key: string;
}

if (process.argv[2] === 'load') load(JSON.parse(process.argv[3] ?? '{}') as Load);
else await bench();

/** Requests on keep-alive connections, one at a time each, for one round; posts how many were answered, and in what time. */
function load({ port, path, key }: Load): void {
  const text = `GET ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${key}\r\n\r\n`;
  let answers = 0;
  const startMs = performance.now();
  const sockets = Array.from({ length: CONNECTIONS }, () => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (bytes) => {
      if (bytes.indexOf('HTTP/1.1 200') !== 0) throw new Error(`expected 200, got ${bytes.toString().slice(0, 60)}`);
      answers++;
      socket.write(text);
    });
    return socket;
  });
  setTimeout(() => {
    for (const socket of sockets) socket.destroy();
    process.send?.({ answers, ms: performance.now() - startMs });
  }, ROUND_MS);
}

interface Measured {
  perSecond: number;
  /** CPU time of this process for one answer: what it costs, also where other work crowds the machine. */
  cpuMicroseconds: number;
}

function measure(data: Load): Promise<Measured> {
  const cpu = process.cpuUsage();
  return new Promise((resolve, reject) => {
    // A process of its own: the load must not share the server's thread.
    const child = fork(fileURLToPath(import.meta.url), ['load', JSON.stringify(data)], {
      execArgv: ['--import', 'tsx'],
    });
    child.on('error', reject).on('message', (message) => {
      const { answers, ms } = message as { answers: number; ms: number };
      const { user, system } = process.cpuUsage(cpu);
      resolve({ perSecond: Math.round((answers / ms) * 1000), cpuMicroseconds: (user + system) / answers });
    });
  });
}

async function bench(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-bench-'));
  const settings = readSettings({ FUSELINK_DATA: join(folder, 'data') });
  const wired = await wire(settings, () => {});
  try {
    const account = await createAccount(wired.deps, { email: 'bench@example.com' });
    await benchHttp(wired.deps, account.apiKey);
    await benchStored(wired.deps, account.accountId, account.apiKey);
  } finally {
    await wired.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function benchHttp(deps: Deps, key: string): Promise<void> {
  const about = {
    method: 'GET',
    body: 'none',
    operation: { operationId: 'bench', summary: '', responses: {} },
    handle: async () => ({ status: 200, json: { status: 'alive' } }),
  } as const;
  const routes: RouteDef[] = [
    { ...about, path: '/open', auth: 'none' },
    { ...about, path: '/keyed', auth: 'key' },
  ];
  const http: HttpSettings = {
    publicUrl: null,
    trustProxy: false,
    tls: false,
    idleTimeoutMs: 60_000,
    lingerMs: 1_000,
    version: 'bench',
  };
  const app = fastify({ logger: false });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      handler: async (request, reply) => {
        reply.hijack();
        await serve(request.raw, reply.raw, { deps, http, route, params: {} });
      },
    });
  }
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const rates: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const open = await measure({ port, path: '/open', key });
    const keyed = await measure({ port, path: '/keyed', key });
    // The first round warms up.
    if (round === 0) continue;
    rates.push(keyed.perSecond / open.perSecond);
    costs.push(open.cpuMicroseconds / keyed.cpuMicroseconds);
    console.log(`without ${said(open)}, with authentication ${said(keyed)}`);
  }
  console.log(`with authentication, of the rate without: ${median(rates)} by the clock, ${median(costs)} by CPU time`);
  await app.close();
}

function said({ perSecond, cpuMicroseconds }: Measured): string {
  return `${perSecond}/s at ${cpuMicroseconds.toFixed(0)} µs`;
}

function median(values: number[]): string {
  return (values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN).toFixed(2);
}

async function benchStored(deps: Deps, accountId: AccountId, text: string): Promise<void> {
  let stored = 1;
  const own = Uint8Array.from(Buffer.from(text, 'hex'));
  const known: Uint8Array[] = [own];
  for (let wanted = 10; wanted <= KEYS_MAX; wanted *= 10) {
    while (stored < wanted) {
      const writes: Write[] = [];
      for (let i = Math.min(INSERTED_AT_ONCE, wanted - stored); i > 0; i--) {
        const { row, key } = mintKey(deps, {
          accountId,
          kind: 'account',
          deviceId: null,
          name: 'bench',
          role: 'owner',
        });
        writes.push({ kind: 'insert', table: 'api_keys', row: { ...row, id: row.id as KeyId } });
        if (known.length < 10_000) known.push(Uint8Array.from(Buffer.from(key, 'hex')));
      }
      const outcome = await deps.store.commit(writes);
      if (!outcome.ok) throw new Error('expected the keys to be stored');
      stored += writes.length;
    }
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    for (let i = 0; i < LOOKUPS; i++) {
      const bytes = known[i % known.length] ?? own;
      await authenticate(deps, { ok: true, credential: { kind: 'key', bytes } }, '127.0.0.1');
    }
    const perSecond = Math.round((LOOKUPS / (performance.now() - startMs)) * 1000);
    const { user, system } = process.cpuUsage(cpu);
    const each = ((user + system) / LOOKUPS).toFixed(1);
    console.log(`${String(stored).padStart(9)} keys stored: ${perSecond} authentications/s, ${each} µs of CPU each`);
  }
}

import type { Agent } from 'node:http';
import { inParallel, receive, send } from './http-load.ts';
import type { BenchServer } from './servers.ts';

const MIB = 1_048_576;

export interface Scenario {
  name: string;
  /** What its figure is. */
  unit: 'MB/s' | 'per s';
  /** The ratio to the baseline it is held to. */
  goal: number | null;
  rounds: number;
  /** Bytes moved a round, or requests made: what the time is divided into. */
  amount: number;
  baseline(context: Context): Promise<Timed>;
  fuselink(context: Context & { key(): string }): Promise<Timed>;
}

export interface Context {
  server: BenchServer;
  agent: Agent;
}

/** What is timed, after what must be prepared for it. */
export type Timed = () => Promise<unknown>;

function up(
  bytes: number,
  repeats: number,
  extra: Record<string, string> = {},
): Pick<Scenario, 'baseline' | 'fuselink'> {
  return {
    baseline:
      async ({ server, agent }) =>
      () =>
        repeat(repeats, () => send({ url: server.url, bytes, headers: extra, agent })),
    fuselink:
      async ({ server, agent, key }) =>
      () =>
        repeat(repeats, () =>
          send({
            url: `${server.url}/v1/upload`,
            bytes,
            headers: { authorization: `Bearer ${key()}`, 'x-filename': 'bench.bin' },
            agent,
          }),
        ),
  };
}

function down(
  bytes: number,
  repeats: number,
  how: 'plain' | 'ranged' | 'claim',
): Pick<Scenario, 'baseline' | 'fuselink'> {
  return {
    async baseline({ server, agent }) {
      const urls = await times(
        repeats,
        async () => JSON.parse((await send({ url: server.url, bytes, headers: {}, agent })).body).url as string,
      );
      return () => each(urls, (url) => receive({ url: server.url + url, agent }));
    },
    async fuselink({ server, agent, key }) {
      const links = await times(repeats, async () => {
        const sent = await send({
          url: `${server.url}/v1/upload`,
          bytes,
          headers: { authorization: `Bearer ${key()}` },
          agent,
        });
        return JSON.parse(sent.body) as { url: string; sha256: string };
      });
      return () => each(links, (link) => read(link, bytes, how, agent));
    },
  };
}

async function read(
  link: { url: string; sha256: string },
  bytes: number,
  how: 'plain' | 'ranged' | 'claim',
  agent: Agent,
): Promise<void> {
  if (how === 'plain') {
    await receive({ url: link.url, agent });
    return;
  }
  if (how === 'ranged') {
    const parts = 8;
    for (let i = 0; i < parts; i++) {
      const from = Math.floor((bytes * i) / parts);
      const to = Math.floor((bytes * (i + 1)) / parts) - 1;
      await receive({ url: link.url, headers: { range: `bytes=${from}-${to}` }, agent });
    }
    return;
  }
  const json = { 'content-type': 'application/json' };
  const claim = JSON.parse((await send({ url: `${link.url}/claim`, bytes: 0, headers: json, agent })).body)
    .claim as string;
  await receive({ url: `${link.url}/content`, headers: { 'fuselink-claim': claim }, agent });
  await post(`${link.url}/ack`, { ...json, 'fuselink-claim': claim }, JSON.stringify({ sha256: link.sha256 }));
}

async function post(url: string, headers: Record<string, string>, body: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`POST answered ${answer.status}: ${await answer.text()}`);
}

/** Resumable: one creation and PATCHes of `chunk` bytes. */
function tus(bytes: number, chunk: number): Pick<Scenario, 'baseline' | 'fuselink'> {
  return {
    baseline: up(bytes, 1).baseline,
    fuselink:
      async ({ server, agent, key }) =>
      async () => {
        const headers = { authorization: `Bearer ${key()}`, 'tus-resumable': '1.0.0' };
        const created = await send({
          url: `${server.url}/v1/uploads`,
          bytes: 0,
          headers: { ...headers, 'upload-length': String(bytes) },
          agent,
        });
        const url = created.headers.location ?? '';
        for (let offset = 0; offset < bytes; offset += chunk) {
          await send({
            url,
            method: 'PATCH',
            bytes: Math.min(chunk, bytes - offset),
            headers: { ...headers, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' },
            agent,
          });
        }
      },
  };
}

function small(count: number, headers: Record<string, string>): Pick<Scenario, 'baseline' | 'fuselink'> {
  const bytes = 4_096;
  return {
    baseline:
      async ({ server, agent }) =>
      () =>
        inParallel(count, 16, () => send({ url: server.url, bytes, headers, agent })),
    fuselink:
      async ({ server, agent, key }) =>
      () =>
        inParallel(count, 16, () =>
          send({ url: `${server.url}/v1/upload`, bytes, headers: { authorization: `Bearer ${key()}` }, agent }),
        ),
  };
}

/** Everything `npm run bench` measures. Rounds of baseline and Fuselink alternate, so that noise hits both alike. */
export const SCENARIOS: readonly Scenario[] = [
  { name: '5 MB up', unit: 'MB/s', goal: 0.8, rounds: 7, amount: 10 * 5, ...up(5_000_000, 10) },
  {
    name: '5 MB up, baseline with 1 MiB buffers',
    unit: 'MB/s',
    goal: null,
    rounds: 5,
    amount: 10 * 5,
    ...up(5_000_000, 10, { 'x-buffer': 'large' }),
  },
  { name: '5 MB down', unit: 'MB/s', goal: null, rounds: 5, amount: 10 * 5, ...down(5_000_000, 10, 'plain') },
  { name: '256 MiB up', unit: 'MB/s', goal: 0.9, rounds: 5, amount: 268.4, ...up(256 * MIB, 1) },
  {
    name: '256 MiB up, baseline with 1 MiB buffers',
    unit: 'MB/s',
    goal: null,
    rounds: 3,
    amount: 268.4,
    ...up(256 * MIB, 1, { 'x-buffer': 'large' }),
  },
  { name: '256 MiB down', unit: 'MB/s', goal: 0.9, rounds: 5, amount: 268.4, ...down(256 * MIB, 1, 'plain') },
  {
    name: '256 MiB up by tus, 64 MiB chunks',
    unit: 'MB/s',
    goal: 0.9,
    rounds: 3,
    amount: 268.4,
    ...tus(256 * MIB, 64 * MIB),
  },
  {
    name: '256 MiB down in 8 ranges',
    unit: 'MB/s',
    goal: 0.9,
    rounds: 3,
    amount: 268.4,
    ...down(256 * MIB, 1, 'ranged'),
  },
  {
    name: '256 MiB down by claim and ack',
    unit: 'MB/s',
    goal: 0.9,
    rounds: 3,
    amount: 268.4,
    ...down(256 * MIB, 1, 'claim'),
  },
  {
    name: '4 KiB up, 16 connections, against a file each',
    unit: 'per s',
    goal: 1.5,
    rounds: 5,
    amount: 2_000,
    ...small(2_000, {}),
  },
  {
    name: '4 KiB up, 16 connections, against a file each with fsync',
    unit: 'per s',
    goal: 3,
    rounds: 5,
    amount: 2_000,
    ...small(2_000, { 'x-fsync': 'yes' }),
  },
];

async function repeat(count: number, job: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await job();
}

async function times<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const out: T[] = [];
  for (let i = 0; i < count; i++) out.push(await make());
  return out;
}

async function each<T>(items: readonly T[], job: (item: T) => Promise<unknown>): Promise<void> {
  for (const item of items) await job(item);
}

import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings, wire } from '#server';
import { createAccount } from '../../server/usecases/account/create-account.ts';
import { startServerChild } from '../../test/support/server-child.ts';
import { testEnv } from '../../test/support/test-server.ts';
import { bundleSimulator } from '../build.ts';
import type { Measured } from './child.bench.ts';

/*
 * npx tsx device-sim/live/live.bench.ts [devices …]: one process of `live` against a server on SQLite in another, and a bare loop of
 * node:http posts of the same size against the same server in the same run. Requests a second, CPU of the client a request,
 * largest resident set. With two cores client and server share them; the CPU a request is what compares.
 */
const SIZES = [100, 1000, 5000];

async function measured(bundle: string, words: string[]): Promise<Measured> {
  const child = spawn(process.execPath, [bundle, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  for await (const part of child.stdout) out += String(part);
  const found = /MEASURED (.*)/.exec(out)?.[1];
  if (found === undefined) throw new Error(`expected a measurement of ${words[0]}, got none`);
  return JSON.parse(found) as Measured;
}

function line(name: string, { requests, seconds, cpuMs, rssMb }: Measured): string {
  const rate = (requests / seconds).toFixed(0).padStart(6);
  const cpu = (cpuMs / requests).toFixed(3).padStart(7);
  return `${name.padEnd(22)} ${String(requests).padStart(8)} requests ${rate}/s  ${cpu} ms CPU each  ${rssMb.toFixed(0).padStart(5)} MB\n`;
}

async function compare(sizes: number[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-live-bench-'));
  const data = join(folder, 'data');
  const wired = await wire(readSettings(testEnv(data)), () => {});
  const { accountId, apiKey } = await createAccount(wired.deps, { email: 'bench@example.com' });
  const row = await wired.deps.store.get('accounts', { id: accountId });
  if (row === null) throw new Error('expected the account that was made, found none');
  const settings = { ...row.settings, keys_may_manage: true };
  await wired.deps.store.commit([
    {
      kind: 'update',
      table: 'accounts',
      row: { ...row, settings, version: row.version + 1 },
      expectVersion: row.version,
    },
  ]);
  await wired.close();
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, apiKey);
  const bundle = join(folder, 'bench.mjs');
  await bundleSimulator(join(import.meta.dirname, 'child.bench.ts'), bundle);
  const server = await startServerChild(data);
  try {
    process.stdout.write(line('bare loop', await measured(bundle, ['bare', server.url, apiKey])));
    for (const devices of sizes) {
      const run = await measured(bundle, ['live', server.url, keyFile, String(devices)]);
      process.stdout.write(line(`live, ${devices} devices`, run));
    }
    process.stdout.write(line('bare loop again', await measured(bundle, ['bare', server.url, apiKey])));
    process.stdout.write(`the server: ${((await server.peakRssBytes()) / 1_048_576).toFixed(0)} MB\n`);
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const asked = process.argv.slice(2).map(Number);
await compare(asked.length > 0 ? asked : SIZES);

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DeviceId, TransferId } from '../../domain/ids.ts';
import { expectWhole } from '../../ports/metadata-effects.contract.ts';
import { openSqliteStore } from './metadata-store.ts';

const ROUNDS = 4;
const CHILD = new URL('crash-child.ts', import.meta.url).pathname;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fuselink-crash-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs a committing child from `first` on and kills it after `acknowledgements`; what it had acknowledged. */
async function killedAfter(path: string, first: number, acknowledgements: number): Promise<number[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, path, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const numbers: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    numbers.push(Number(line));
    if (numbers.length === acknowledgements) child.kill('SIGKILL');
  }
  await exited;
  return numbers;
}

it('sqlite metadata: killed in the middle of commits, again and again → everything acknowledged is there, whole', async () => {
  const path = join(folder, 'metadata.db');
  const acknowledged: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    acknowledged.push(...(await killedAfter(path, round * 1_000_000, 50 + round * 333)));
    const store = await openSqliteStore({ path });
    for (const number of acknowledged) {
      const device = await store.get('devices', { id: `device-${number}` as DeviceId });
      const body = await store.get('bodies', {
        transfer_id: `transfer-${String(number).padStart(5, '0')}` as TransferId,
      });
      expect(device?.name, `round ${round}, number ${number}`).toBe(`sensor ${number}`);
      expect(body?.bytes.byteLength).toBe((number % 7) * 3_000);
    }
    const chain = await store.list('audit', {
      where: [['chain', '=', 'account-1']],
      orderBy: [['seq', 'asc']],
      limit: 100_000,
    });
    expectWhole(chain, chain.length);
    // All or nothing, also for what was under way: as many devices and bodies as entries.
    const { rows } = await store.count('devices', { where: [] });
    expect({ devices: rows, bodies: (await store.count('bodies', { where: [] })).rows }).toEqual({
      devices: chain.length,
      bodies: chain.length,
    });
    expect(chain.length).toBeGreaterThanOrEqual(acknowledged.length);
    await store.close();
  }
});

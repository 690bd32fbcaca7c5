import { performance } from 'node:perf_hooks';
import type { Deps } from '#server';
import type { DeviceId } from '../../server/domain/ids.ts';
import { enrolled } from '../../server/domain/rotation/index.ts';
import type { Write } from '../../server/ports/metadata-store.ts';
import { driveCampaign } from '../../server/usecases/campaign/drive.ts';
import { createCampaign, lookAtCampaign, orderCampaign } from '../../server/usecases/campaign/manage.ts';
import { newsWrite } from '../../server/usecases/campaign/news.ts';
import { mintKey } from '../../server/usecases/key/mint-key.ts';
import { newId } from '../../server/usecases/new-id.ts';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { newRecord } from '../../server/usecases/rotation/record.ts';
import { type StoreKind, startVirtualServer, type VirtualServer } from '../rotation/node.ts';
import { VirtualDevice } from '../rotation/virtual-device.ts';

/**
 * `npx tsx test/bench/campaigns.ts [memory] [sqlite] [devices…]`: what a campaign costs the server that drives it, by the size of its fleet, and
 * how many whole rotations (agent, use cases, store; no HTTP) one process gets through.
 */

const BATCH = 500;
const TICKS = 7;
const ROTATIONS = 200;
const ROUNDS_MAX = 20;

/** Wall milliseconds and CPU milliseconds of this process. */
async function timed(act: () => Promise<unknown>): Promise<{ ms: number; cpuMs: number }> {
  const before = process.cpuUsage();
  const beganMs = performance.now();
  await act();
  const { user, system } = process.cpuUsage(before);
  return { ms: Math.round((performance.now() - beganMs) * 10) / 10, cpuMs: Math.round((user + system) / 100) / 10 };
}

async function plant(server: VirtualServer, count: number): Promise<DeviceId[]> {
  const deps: Deps = server.deps();
  const { accountId } = server.operator;
  const ids: DeviceId[] = [];
  for (let from = 0; from < count; from += BATCH) {
    const writes: Write[] = [];
    for (let i = from; i < Math.min(count, from + BATCH); i++) {
      const id = newId(deps, 'dev') as DeviceId;
      ids.push(id);
      const { row } = mintKey(deps, { accountId, kind: 'device', deviceId: id, name: `d${i}`, role: 'operator' });
      const rotation = enrolled(row.fingerprint, row.generation);
      const device = { id, account_id: accountId, name: `d${i}`, profile: `p${i % 4}`, tags: [], groups: [] };
      writes.push(
        {
          kind: 'insert',
          table: 'devices',
          row: { ...device, created_at_ms: server.nowMs(), last_seen_at_ms: null, version: 1 },
        },
        { kind: 'insert', table: 'api_keys', row },
        {
          kind: 'insert',
          table: 'rotations',
          row: newRecord({ deviceId: id, accountId, rotation, sealedRecovery: null }),
        },
      );
    }
    const outcome = await deps.store.commit(writes);
    if (!outcome.ok) throw new Error(`the fleet could not be planted: ${outcome.reason}`);
  }
  return ids;
}

/** Half the fleet is asked at once, and none of it is heard: what most ticks of a long campaign are. */
async function ticks(kind: StoreKind, count: number): Promise<void> {
  const server = await startVirtualServer(kind);
  try {
    const deps = server.deps();
    const ids = await plant(server, count);
    const { id } = await createCampaign(deps, server.operator, {
      name: 'bench',
      selection: {},
      rules: { canary: Math.max(1, count / 2) },
    });
    const start = await timed(() => orderCampaign(deps, server.operator, id, { verb: 'start' }));
    server.advance(3000);
    const ask = await timed(async () => {
      while ((await lookAtCampaign(deps, server.operator, id)).progress.open < count / 2) await driveCampaign(deps, id);
    });
    const quiet: { ms: number; cpuMs: number }[] = [];
    for (let i = 0; i < TICKS; i++) {
      server.advance(3000);
      quiet.push(await timed(() => driveCampaign(deps, id)));
    }
    quiet.sort((a, b) => a.ms - b.ms);
    const told = ids.slice(0, Math.max(1, count / 100));
    await deps.store.commit(told.map((device, i) => newsWrite(id, device, i + 1)));
    server.advance(3000);
    const news = await timed(() => driveCampaign(deps, id));
    const look = await timed(() => lookAtCampaign(deps, server.operator, id));
    const rows = { kind, devices: count, start, ask, quiet: quiet[Math.floor(TICKS / 2)], news, look };
    process.stdout.write(`${JSON.stringify(rows)}\n`);
  } finally {
    await server.stop();
  }
}

async function rotations(kind: StoreKind): Promise<void> {
  const server = await startVirtualServer(kind);
  try {
    const devices: VirtualDevice[] = [];
    for (let i = 0; i < ROTATIONS; i++) devices.push(await VirtualDevice.enrol(server, `d${i}`));
    for (const { id } of devices)
      await orderRotation(server.deps(), server.operator, id, { verb: 'rotate', plan: { soakMs: 0 } });
    const cost = await timed(() =>
      Promise.all(
        devices.map(async (device) => {
          for (let round = 0; round < ROUNDS_MAX; round++) {
            await device.due();
            await device.upload();
            if ((device.rotator.state.base?.generation ?? 1) > 1 && (await device.isSettled())) return;
          }
          throw new Error(`${device.name} did not settle`);
        }),
      ),
    );
    const perSecond = Math.round((ROTATIONS / cost.ms) * 1000);
    process.stdout.write(`${JSON.stringify({ kind, rotations: ROTATIONS, perSecond, ...cost })}\n`);
  } finally {
    await server.stop();
  }
}

const said = process.argv.slice(2);
const sizes = said.filter((word) => /^\d+$/.test(word)).map(Number);
const kinds = (['memory', 'sqlite'] as const).filter(
  (kind) => !said.some((word) => /^[a-z]/.test(word)) || said.includes(kind),
);
for (const kind of kinds) {
  for (const count of sizes.length > 0 ? sizes : [1_000, 10_000, 100_000]) await ticks(kind, count);
  await rotations(kind);
}

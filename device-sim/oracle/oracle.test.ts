import { expect, test } from 'vitest';
import { Invariants } from './invariants.ts';
import { Oracle } from './oracle.ts';

const LOOK = { method: 'GET', path: '/v1/device', headers: {}, body: null };
const wants = (generation: number) => ({
  status: 200,
  headers: { 'fuselink-rotation': `wanted;gen=${generation};base=0123456789abcdef;source=self` },
  json: {},
});

function onlooker() {
  const invariants = new Invariants(() => 0);
  return { oracle: new Oracle(invariants), broken: () => invariants.found.map(({ what }) => what) };
}

test('I9: of two requests that overlapped, the later answer tells the earlier generation → nothing is broken', () => {
  const { oracle, broken } = onlooker();
  const [slow, quick] = [oracle.now(), oracle.now()];
  oracle.served(1, LOOK, wants(5), quick);
  oracle.served(1, LOOK, wants(4), slow);
  expect(broken()).toEqual([]);
});

test('I9: a request that began after an answer is told an earlier generation → broken, of this device alone', () => {
  const { oracle, broken } = onlooker();
  oracle.served(1, LOOK, wants(5), oracle.now());
  oracle.served(2, LOOK, wants(4), oracle.now());
  oracle.served(1, LOOK, wants(4), oracle.now());
  expect(broken()).toEqual(['generation 4 is wanted after 5 was']);
});

import { expect, test } from 'vitest';
import type { RelayAnswer } from '#server';
import { type Answered, AnswerOrder } from './answer-order.ts';

const REQUEST = { method: 'POST', path: '/v1/upload', headers: {}, body: null } as const;
const ok: RelayAnswer = { status: 201, headers: {}, json: {} };
const revoked: RelayAnswer = {
  status: 401,
  headers: {},
  json: { code: 'key_revoked', fingerprint: '00112233aabbccdd' },
};
const wanted = (generation: number): RelayAnswer => ({
  status: 201,
  headers: { 'fuselink-rotation': `wanted;gen=${generation};base=0011223344556677` },
  json: {},
});

function heard(play: (order: AnswerOrder, at: (answer: RelayAnswer, begunAt: number) => Answered) => void): number[] {
  const told: number[] = [];
  const order = new AnswerOrder(({ begunAt }) => told.push(begunAt));
  play(order, (answer, begunAt) => ({ device: 1, request: REQUEST, answer, begunAt }));
  return told;
}

test('answer order: one request after the other → each is told as it comes', () => {
  const told = heard((order, at) => {
    order.sent(1);
    order.ended(1, at(revoked, 1));
    order.sent(1);
    order.ended(1, at(ok, 2));
  });
  expect(told).toEqual([1, 2]);
});

test('answer order: a revocation overtakes the commit that preceded it → the commit is told first', () => {
  const told = heard((order, at) => {
    order.sent(1);
    order.sent(1);
    order.ended(1, at(revoked, 2));
    order.ended(1, at(ok, 1));
  });
  expect(told).toEqual([1, 2]);
});

test('answer order: a wish overtakes an older one → generations are told in their order', () => {
  const told = heard((order, at) => {
    order.sent(1);
    order.sent(1);
    order.ended(1, at(wanted(4), 1));
    order.ended(1, at(wanted(3), 2));
  });
  expect(told).toEqual([2, 1]);
});

test('answer order: one without an answer, and another device → neither holds up what is complete', () => {
  const told = heard((order, at) => {
    order.sent(1);
    order.sent(2);
    order.sent(1);
    order.ended(1, null);
    order.ended(1, at(ok, 1));
  });
  expect(told).toEqual([1]);
});

test('answer order: the run ends with a request under way → what was held is told all the same', () => {
  const told = heard((order, at) => {
    order.sent(1);
    order.sent(1);
    order.ended(1, at(ok, 1));
    order.finish();
  });
  expect(told).toEqual([1]);
});

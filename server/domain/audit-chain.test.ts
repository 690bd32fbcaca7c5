import { describe, expect, test } from 'vitest';
import { type ChainedEntry, canonicalAuditText } from './audit-chain.ts';

const entry: ChainedEntry = {
  chain: 'acc_1',
  seq: 7,
  at_ms: 1,
  actor: 'key:key_1',
  action: 'transfer.sent',
  subject: 'x',
  outcome: 'done',
  detail: { size: 3, by: { b: 1, a: [1, { d: 1, c: 2 }] } },
  from: '127.0.0.1',
  prev_hash: 'p',
};

describe('audit chain', () => {
  test('detail: any order of its keys → the same text', () => {
    const shuffled = { ...entry, detail: { by: { a: [1, { c: 2, d: 1 }], b: 1 }, size: 3 } };
    expect(canonicalAuditText(shuffled)).toBe(canonicalAuditText(entry));
  });

  test.each(Object.keys(entry))('%s changed → another text', (field) => {
    const value = field === 'detail' ? { size: 4 } : field === 'seq' || field === 'at_ms' ? 99 : 'other';
    expect(canonicalAuditText({ ...entry, [field]: value })).not.toBe(canonicalAuditText(entry));
  });

  test('detail: a key called __proto__ → covered like any other', () => {
    const detail = (value: number) => JSON.parse(`{"__proto__": {"a": ${value}}}`) as Record<string, unknown>;
    expect(canonicalAuditText({ ...entry, detail: detail(1) })).not.toBe(
      canonicalAuditText({ ...entry, detail: detail(2) }),
    );
  });
});

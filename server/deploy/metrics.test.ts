import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Kit, startKit } from '../testing/server-kit.ts';
import { FAMILIES } from '../usecases/metrics/families.ts';

const file = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');
const METRIC = /\b(?:fuselink|process)_[a-z_]+\b/g;
/** What a histogram's name gets appended in the exposition. */
const familyOf = (name: string) => (name in FAMILIES ? name : name.replace(/_(bucket|sum|count)$/, ''));

let kit: Kit;
let link: string;
let key: string;
beforeAll(async () => {
  kit = await startKit();
  const account = await kit.account();
  key = account.apiKey;
  const sent = await kit.call('POST', '/v1/upload', { apiKey: key, body: 'twelve bytes' });
  link = new URL(sent.json.url).pathname;
  await kit.call('GET', '/v1/transfers', { apiKey: '00'.repeat(32) });
  const { claim } = (await kit.call('POST', `${link}/claim`, { json: {} })).json;
  const read = await kit.call('GET', `${link}/content`, { headers: { 'fuselink-claim': claim } });
  expect(read.text).toBe('twelve bytes');
  const { sha256 } = sent.json;
  const ack = await kit.call('POST', `${link}/ack`, { json: { sha256 }, headers: { 'fuselink-claim': claim } });
  expect(ack.status).toBe(200);
});
afterAll(() => kit.stop());

it('metrics: an upload, a refusal and a read → counted, each once', async () => {
  const { text, headers } = await kit.call('GET', '/metrics');
  expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  const lines = text.split('\n');
  expect(lines).toContain('fuselink_uploads_total 1');
  expect(lines).toContain('fuselink_upload_bytes_total 12');
  expect(lines).toContain('fuselink_read_bytes_total 12');
  expect(lines).toContain('fuselink_burns_total{by="ack"} 1');
  expect(lines).toContain('fuselink_refusals_total{code="key_unknown"} 1');
  expect(lines).toContain('fuselink_requests_total{operation="claimLink",status="200"} 1');
});

it('metrics: the exposition → sound line by line, histograms rise to their count, and nothing in it names anybody', async () => {
  const { text } = await kit.call('GET', '/metrics');
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+)$/);
  const buckets = [...text.matchAll(/fuselink_request_seconds_bucket\{le="([^"]+)"\} (\d+)/g)].map(([, , n]) =>
    Number(n),
  );
  expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
  expect(text).toContain(`fuselink_request_seconds_count ${buckets.at(-1)}`);
  for (const secret of [link.slice(5), key, ...kit.secrets].filter((word) => word !== ''))
    expect(text).not.toContain(secret);
  expect(text).not.toMatch(/acc_|dev_|key_[a-z0-9]{10}|@example/);
});

it.each(['grafana-dashboard.json', 'alerts.yml'])(
  'metrics: every name in %s → exported by the server',
  async (name) => {
    const { text } = await kit.call('GET', '/metrics');
    const exported = new Set([...text.matchAll(/^# TYPE ([a-z_]+)/gm)].map(([, family]) => family));
    const used = [...new Set(file(name).match(METRIC))];
    expect(used.length).toBeGreaterThan(4);
    expect(used.filter((metric) => !exported.has(familyOf(metric)))).toEqual([]);
  },
);

it('metrics: everything exported → shown on the dashboard', () => {
  const dashboard = file('grafana-dashboard.json');
  expect(Object.keys(FAMILIES).filter((name) => !dashboard.includes(name))).toEqual([]);
  const { panels } = JSON.parse(dashboard) as { panels: { id: number; targets: { expr: string }[] }[] };
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const { targets } of panels) expect(targets.every(({ expr }) => expr.includes('$instance'))).toBe(true);
});

it('metrics: asked for through a proxy, or with a token set and not given → nothing here', async () => {
  expect((await kit.call('GET', '/metrics', { headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(404);
  const guarded = await startKit({ FUSELINK_METRICS_TOKEN: 'a-token-for-the-scraper' });
  try {
    expect((await guarded.call('GET', '/metrics')).status).toBe(404);
    expect((await guarded.call('GET', '/metrics', { auth: 'Bearer another-token-for-it' })).status).toBe(404);
    expect((await guarded.call('GET', '/metrics', { auth: 'Bearer a-token-for-the-scraper' })).status).toBe(200);
  } finally {
    await guarded.stop();
  }
});

it('request ids: every answer → one of its own, refusals too', async () => {
  const ids = await Promise.all(['/healthz', '/nowhere', '/v1/transfers'].map((path) => kit.call('GET', path)));
  const said = ids.map(({ headers }) => headers.get('x-request-id'));
  expect(new Set(said).size).toBe(3);
  for (const id of said) expect(id).toMatch(/^[0-9a-f]{16}$/);
});

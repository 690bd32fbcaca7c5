import { afterAll, beforeAll, expect, test } from 'vitest';
import { brokenOf, type LiveServer, shortRun, startLiveServer } from './live.testkit.ts';

let live: LiveServer;
beforeAll(async () => {
  live = await startLiveServer({ FUSELINK_METADATA: 'memory:', FUSELINK_BLOBS: 'memory:' });
});
afterAll(() => live.close());

test('live: a rotation under load against a real server → every key replaced, nothing broken, nothing left behind', async () => {
  const theirs = await live.server.device('theirs');
  const result = await shortRun(live);
  expect(brokenOf(result)).toEqual([]);
  expect(result).toMatchObject({ ok: true, missed: null, campaigns_completed: 1 });
  expect(result.readings.delivered).toBe(result.readings.kept);
  expect(result.uploads.accepted).toBeGreaterThan(12);
  const { devices } = (await (
    await fetch(`${live.server.url}/v1/devices`, { headers: { authorization: `Bearer ${live.server.accountKey}` } })
  ).json()) as { devices: { id: string }[] };
  expect(devices.map(({ id }) => id)).toEqual([theirs.deviceId]);
});

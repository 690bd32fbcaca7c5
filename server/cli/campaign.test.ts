import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { program } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'fuselink-campaign-cli-'));

beforeAll(async () => {
  vi.stubEnv('FUSELINK_DATA', join(folder, 'data'));
  await cli('account', 'create', '--email', 'operator@example.com', '--json');
  await cli('device', 'enrol', 'boiler', '--tag', 'plant');
  await cli('device', 'enrol', 'office');
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** What the command line prints, run in this process. */
async function cli(...args: string[]): Promise<string> {
  const out: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  try {
    await program().parseAsync(['node', 'fuselink-server', ...args]);
  } finally {
    write.mockRestore();
  }
  return out.join('');
}

test('campaign: a policy that locks out → create, preflight and start each say whom; keep → nothing of the kind', async () => {
  const about = ['--tag', 'plant', '--deadline', '7d'];
  const created = await cli('campaign', 'create', 'hard', ...about, '--policy', 'revoke');
  const sentence = 'Unless they are heard before the deadline, 1 devices would have every key revoked: boiler';
  expect(created).toContain(sentence);
  const id = /cmp_\w+/.exec(created)?.[0] ?? '';
  expect(await cli('campaign', 'preflight', id)).toContain("Locked out     1 by the deadline's policy: boiler");
  expect(await cli('campaign', 'start', id)).toContain(sentence);
  expect(await cli('campaign', 'abort', id)).not.toContain('locked');
  expect(await cli('campaign', 'create', 'soft', ...about)).not.toContain('Unless');
});

test('campaign: show → how far it is, as lines and as JSON', async () => {
  const id = /cmp_\w+/.exec(await cli('campaign', 'create', 'all'))?.[0] ?? '';
  expect(await cli('campaign', 'show', id)).toContain('all: 0 done, 0 under way');
  expect(JSON.parse(await cli('campaign', 'show', id, '--json'))).toMatchObject({ id, state: 'DRAFT', kind: 'keys' });
});

test('incident: without --confirm → what would be done, and nothing is; with it → done, and told', async () => {
  const preview = await cli('incident', 'boiler', '--reason', 'stolen');
  expect(preview).toContain('It would be quarantined');
  expect(preview).toContain('Add --confirm to do it.');
  expect(await cli('device', 'show', 'boiler')).not.toContain('QUARANTINED');
  const done = JSON.parse(await cli('incident', 'boiler', '--reason', 'stolen', '--confirm', '--json'));
  expect(done).toMatchObject({ dry_run: false, outcome: 'stopped', action: 'quarantine' });
  expect(await cli('device', 'show', 'boiler')).toContain('QUARANTINED');
  expect(await cli('device', 'story', 'boiler')).toContain('is out. Reason: stolen.');
});

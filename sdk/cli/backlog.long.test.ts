import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peakRssBytes } from '../../test/support/measured-child.ts';
import { temporaryFolder } from '../../test/support/test-server.ts';
import { buildSdk } from '../build.ts';
import { backlogReading, READINGS_A_SEGMENT, writeBacklog } from '../node/testing/backlog.ts';
import { testCertificate } from '../node/testing/certificate.ts';
import { type FakeRelay, fakeRelay } from '../node/testing/fake-relay.ts';

const SEGMENTS = 10_240;
const WHOLE = 40;
/** Files sent before the figure is taken: by then it has been flat for long. */
const FILES = 24;
const LINES = 10_000;
const DAEMON_RSS_BYTES_MAX = 64_000_000;
/** A program of one's own, in which nobody keeps V8 small. */
const PROGRAM_RSS_BYTES_MAX = 80_000_000;

let folder: { path: string; remove(): Promise<void> };
let relay: FakeRelay;

beforeAll(async () => {
  folder = await temporaryFolder();
  relay = await fakeRelay(testCertificate());
  await buildSdk(join(folder.path, 'dist'));
  await writeFile(join(folder.path, 'ca.pem'), testCertificate().cert);
});

afterAll(async () => {
  await relay.close();
  await folder.remove();
});

/** Waits until the child has told of so many files, and gives what it had of memory by then. */
async function peakAfter(child: ChildProcess, files: number): Promise<number> {
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    expect(line).toContain('"id"');
    seen += 1;
    // What has been received is looked at in the end by its notes: the bytes of a gigabyte are not kept.
    if (seen === files) break;
  }
  expect(seen).toBe(files);
  const peak = await peakRssBytes(child.pid as number);
  const closed = new Promise((resolve) => child.on('close', resolve));
  // As a power cut would: what is left on the disk is no part of this.
  child.kill('SIGKILL');
  child.stdout?.resume();
  await closed;
  return peak;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** An empty Node of this machine, now: what the figures stand beside. */
async function emptyNodeBytes(): Promise<number> {
  const child = spawn(
    process.execPath,
    ['-e', 'setTimeout(() => console.log("{\\"id\\":0}"), 300); setTimeout(() => {}, 60_000)'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  return peakAfter(child, 1);
}

/** The daemon with so much waiting, fed while it sends. Gives its peak. */
async function daemonBytes(name: string, segments: number): Promise<number> {
  const state = join(folder.path, name);
  writeBacklog(join(state, 'spool'), { segments, whole: WHOLE });
  relay.held.splice(0);
  const args = ['record', '--cap', '20G', '--json', '--device', 'pump', '--ca', join(folder.path, 'ca.pem')];
  const env = { ...process.env, FUSELINK_URL: relay.url, FUSELINK_KEY: 'good-key', FUSELINK_STATE: state };
  const child = spawn(process.execPath, [join(folder.path, 'dist/sdk/cli/fuselink.mjs'), ...args], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => {});
  for (let n = 0; n < LINES; n++) child.stdin.write(`${backlogReading(n)}\n`);
  return peakAfter(child, FILES);
}

describe.skipIf(process.platform !== 'linux')('10 GiB waiting to be sent (its memory is asked of Linux)', () => {
  test('record: 10 GiB of backlog over TLS, lines coming → at most 64 MB of RSS, hardly more than with 100 MiB', async () => {
    const empty = await emptyNodeBytes();
    const small = await daemonBytes('small', 100);
    const large = await daemonBytes('large', SEGMENTS);
    console.log(`empty Node ${megabytes(empty)}; 100 MiB waiting ${megabytes(small)}; 10 GiB ${megabytes(large)}`);
    // The oldest first, none left out.
    let next = 1;
    for (const held of relay.finished().slice(0, FILES)) {
      for (const line of gunzipSync(relay.content(held)).toString().trimEnd().split('\n')) {
        if (line !== backlogReading(next)) expect(line).toBe(backlogReading(next));
        next += 1;
      }
    }
    expect(next).toBeGreaterThan(FILES * READINGS_A_SEGMENT);
    expect(large).toBeLessThanOrEqual(DAEMON_RSS_BYTES_MAX);
    expect(large - small).toBeLessThan(6_000_000);
  });

  test('client.record: the same in a program of one’s own → told, with V8 as it comes and with its young generation held', async () => {
    const program = join(folder.path, 'program.mjs');
    await writeFile(
      program,
      `import { readFileSync } from 'node:fs';
       import { createClient } from ${JSON.stringify(join(folder.path, 'dist/sdk/node/index.mjs'))};
       const [url, stateFolder, ca] = process.argv.slice(2);
       const lane = { lane: 1, whenFull: 'drop-oldest', sync: 'interval', syncIntervalMs: 1000, bytesMax: 20e9 };
       const client = createClient({ url, key: 'good-key', device: 'pump', stateFolder, ca: readFileSync(ca, 'utf8'), readings: { lanes: [lane] } });
       client.on('batch', ({ id }) => console.log(JSON.stringify({ id })));
       for (let n = 0; n < ${LINES}; n++) await client.record({ n, celsius: n / 7 });`,
    );
    const figures: number[] = [];
    for (const flags of [[], ['--max-semi-space-size=1']]) {
      const state = join(folder.path, `program-${figures.length}`);
      writeBacklog(join(state, 'spool'), { segments: SEGMENTS, whole: WHOLE });
      const args = [...flags, program, relay.url, state, join(folder.path, 'ca.pem')];
      figures.push(await peakAfter(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }), FILES));
    }
    const [asItComes = 0, held = 0] = figures;
    console.log(`a program of one's own: ${megabytes(asItComes)}; --max-semi-space-size=1: ${megabytes(held)}`);
    expect(Math.max(asItComes, held)).toBeLessThanOrEqual(PROGRAM_RSS_BYTES_MAX);
  });
});

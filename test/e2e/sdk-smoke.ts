import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import type * as Published from '../../sdk/node/published.ts';

export interface SmokeGiven {
  url: string;
  key: string;
  /** A provisioned credential store of another device, whose rotation is wanted. */
  store: string;
}

/** What each step came to; a step that goes wrong throws. */
export interface SmokeResult {
  node: string;
  sent: number[];
  readings: number;
  phases: string[];
  refused: string;
  counted: boolean;
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A device's day with the built SDK: files, a stream, a sealed file, readings, links read, a key rotated. */
export async function smoke(sdk: typeof Published, given: SmokeGiven): Promise<SmokeResult> {
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-smoke-'));
  const stateFolder = join(folder, 'state');
  const client = sdk.createClient({ url: given.url, key: given.key, device: 'smoke', stateFolder });
  try {
    const sent: number[] = [];
    const there = async (
      url: string | null,
      bytes: Uint8Array,
      name: string,
      receive = client.receive.bind(client),
    ) => {
      const got = await receive(url ?? '', { to: join(folder, name) });
      const found = await readFile(got.path);
      if (digest(found) !== digest(bytes)) throw new Error(`${name}: other bytes came than were sent`);
      sent.push(found.length);
    };
    const small = randomBytes(1000);
    await there((await client.send(small, { filename: 'small' })).url, small, 'small');
    const large = randomBytes(400_000);
    await writeFile(join(folder, 'large.bin'), large);
    // Read without a client: a link is all that is needed.
    await there((await client.send(join(folder, 'large.bin'))).url, large, 'large', (url, options) =>
      sdk.receive(url, { ...options, stateFolder }),
    );
    const pieces = [randomBytes(70_000), randomBytes(70_000)];
    const streamed = await client.send(Readable.from(pieces), { filename: 'stream' });
    await there(streamed.url, Buffer.concat(pieces), 'stream');
    const sealed = await client.send(join(folder, 'large.bin'), { seal: { to: 'link' } });
    await there(sealed.url, large, 'sealed');

    const batch = new Promise<string>((resolve) => client.on('batch', ({ url }) => resolve(url ?? '')));
    for (let n = 0; n < 100; n++) await client.record({ n });
    await client.flush();
    const got = await client.receive(await batch, { to: join(folder, 'batch') });
    const lines = gunzipSync(await readFile(got.path))
      .toString()
      .trimEnd()
      .split('\n');
    const readings = lines.filter((line, n) => (JSON.parse(line) as { n: number }).n === n).length;

    let refused = '';
    try {
      sdk.createClient({ url: 'not a url' });
    } catch (error) {
      if (error instanceof sdk.FuselinkError) refused = error.code;
    }
    const counted = client.metrics().includes('fuselink_readings_sent_total{lane="1"} 100\n');
    return { node: process.version, sent, readings, phases: await rotate(sdk, given), refused, counted };
  } finally {
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function rotate(sdk: typeof Published, given: SmokeGiven): Promise<string[]> {
  const client = sdk.createClient({ url: given.url, store: given.store, stateFolder: null });
  const phases: string[] = [];
  // A rotation's waits keep no program alive that has nothing else to do.
  const alive = setInterval(() => {}, 1000);
  try {
    const settled = new Promise<void>((resolve, reject) => {
      client.on('warning', ({ code, detail }) => reject(new Error(`${code}: ${detail}`)));
      client.on('rotation', ({ phase }) => {
        phases.push(phase);
        if (phase === 'SETTLED' && phases.includes('PROVEN')) resolve();
      });
    });
    await client.send(Buffer.from('one'), { filename: 'a' });
    await settled;
    await client.send(Buffer.from('two'), { filename: 'b' });
    return phases;
  } finally {
    clearInterval(alive);
    await client.close();
  }
}

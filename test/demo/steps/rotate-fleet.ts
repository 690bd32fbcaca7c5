import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { CampaignAnswer, TransferAnswer } from '#sdk/protocol';
import { operator, ROOT, type Step, type World } from '../world.ts';

type Sdk = typeof import('#sdk/node');
type Client = ReturnType<Sdk['createClient']>;

const FLEET = 6;
/** Between two uploads of a device: well inside its sixty a minute. */
const UPLOAD_EVERY_MS = 1500;
/** A campaign of six devices takes seconds; one that takes this long has failed. */
const CAMPAIGN_MS_MAX = 120_000;

interface FleetDevice {
  id: string;
  name: string;
  oldKey: string;
  oldFingerprint: string;
  client: Client;
  sent: { url: string; sha256: string }[];
}

/** Every key of a small fleet is rotated in waves, while each device goes on uploading. */
export const rotateFleet: Step = {
  title: 'A campaign rotates every key of a fleet that goes on uploading',
  async run(world) {
    const sdk = (await import(pathToFileURL(join(ROOT, 'dist/sdk/node/index.mjs')).href)) as Sdk;
    const fleet: FleetDevice[] = [];
    for (let i = 0; i < FLEET; i++) fleet.push(await enrol(world, sdk, `fleet-${i}`));
    const work = { over: false };
    const uploads = fleet.map((device) => uploadUntil(world, device, work));
    try {
      const args = ['--tag', 'demo-fleet', '--canary', '2', '--growth', '4', '--wave-soak', '0s', '--soak', '0s'];
      const created = await operator(world.dataFolder, 'campaign', 'create', 'demo', ...args);
      await operator(world.dataFolder, 'campaign', 'start', String(created['id']));
      const end = await campaignEnd(world, String(created['id']));
      work.over = true;
      await Promise.all(uploads);
      await readBack(world, fleet, end);
    } finally {
      // Whatever went wrong, nobody may go on uploading to a server that is about to stop.
      work.over = true;
      for (const { client } of fleet) await client.close();
      await Promise.all(uploads);
    }
  },
};

async function enrol(world: World, sdk: Sdk, name: string): Promise<FleetDevice> {
  const made = await operator(world.dataFolder, 'device', 'enrol', name, '--tag', 'demo-fleet');
  const store = join(world.folder, name);
  await mkdir(store, { mode: 0o700 });
  const oldFingerprint = await importKey(world, store, String(made['api_key']));
  const client = sdk.createClient({ url: world.url, store, device: name, stateFolder: null });
  return { id: String(made['device_id']), name, oldKey: String(made['api_key']), oldFingerprint, client, sent: [] };
}

/** `fuselink key import`, as somebody provisioning a device would: the key goes in by standard input. */
function importKey(world: World, store: string, key: string): Promise<string> {
  const program = join(ROOT, 'dist/sdk/cli/fuselink.mjs');
  const child = spawn(process.execPath, [program, 'key', 'import', '--folder', store, '--json'], {
    cwd: world.folder,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let out = '';
  child.stdout.on('data', (data: Buffer) => {
    out += data.toString();
  });
  child.stdin.end(key);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      if (code === 0) resolve((JSON.parse(out) as { fingerprint: string }).fingerprint);
      else reject(new Error(`fuselink key import ended with ${code}`));
    });
  });
}

async function uploadUntil(world: World, device: FleetDevice, work: { over: boolean }): Promise<void> {
  for (let i = 0; !work.over; i++) {
    const reading = `${device.name} reading ${i}\n`;
    try {
      const { url } = await device.client.send(Buffer.from(reading), { filename: `${device.name}-${i}.txt` });
      device.sent.push({ url: url ?? '', sha256: createHash('sha256').update(reading).digest('hex') });
    } catch (error) {
      world.failures.push(
        `${device.name}: upload ${i} failed: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    await sleep(UPLOAD_EVERY_MS);
  }
}

async function campaignEnd(world: World, id: string): Promise<CampaignAnswer> {
  const giveUpAt = performance.now() + CAMPAIGN_MS_MAX;
  for (;;) {
    const answer = await fetch(`${world.url}/v1/campaigns/${id}`, { headers: { 'x-api-key': world.accountKey } });
    const campaign = (await answer.json()) as CampaignAnswer;
    if (campaign.state.startsWith('COMPLETED') || campaign.state === 'PAUSED') return campaign;
    if (performance.now() > giveUpAt) return campaign;
    await sleep(500);
  }
}

/** What became of keys and readings, as the server tells it. */
async function readBack(world: World, fleet: readonly FleetDevice[], end: CampaignAnswer): Promise<void> {
  const { done, errors, open } = end.progress;
  if (end.state !== 'COMPLETED' || done !== fleet.length) {
    world.failures.push(`the campaign: expected COMPLETED with ${fleet.length} done, got ${end.state} with ${done}`);
  }
  let readings = 0;
  for (const device of fleet) {
    const rotation = await get<{ state: string; active: string; generation: number }>(
      world,
      `/v1/devices/${device.id}/rotation`,
    );
    if (rotation.state !== 'IDLE' || rotation.active === device.oldFingerprint) {
      world.failures.push(`${device.name}: expected another key and nothing under way, got ${rotation.state}`);
    }
    const old = await fetch(`${world.url}/v1/device`, { headers: { 'x-api-key': device.oldKey } });
    const { code } = (await old.json()) as { code?: string };
    if (code !== 'key_revoked') world.failures.push(`${device.name}: its old key: expected key_revoked, got ${code}`);
    const last = Buffer.from(`${device.name} after the rotation\n`);
    const after = await device.client.send(last, { filename: `${device.name}-after.txt` });
    device.sent.push({ url: after.url ?? '', sha256: createHash('sha256').update(last).digest('hex') });
    readings += await receiveAll(world, device);
  }
  world.say(`${done} of ${fleet.length} keys rotated in ${end.wave + 1} waves, ${errors} errors, ${open} open`);
  world.say(`${readings} readings sent meanwhile, each read back once; every device still sends`);
}

async function receiveAll(world: World, device: FleetDevice): Promise<number> {
  const known = await get<{ transfers: TransferAnswer[] }>(world, `/v1/transfers?device=${device.id}&limit=200`);
  if (known.transfers.length !== device.sent.length) {
    world.failures.push(
      `${device.name}: sent ${device.sent.length} readings, the server knows ${known.transfers.length}`,
    );
  }
  for (const [i, { url, sha256 }] of device.sent.entries()) {
    const path = join(world.folder, `${device.name}-${i}.back`);
    await writeFile(path, '');
    const got = await device.client.receive(url, { to: path, overwrite: true });
    if (got.sha256 !== sha256) world.failures.push(`${device.name}: reading ${i} came back as another`);
  }
  return device.sent.length;
}

async function get<T>(world: World, path: string): Promise<T> {
  const answer = await fetch(world.url + path, { headers: { 'x-api-key': world.accountKey } });
  return (await answer.json()) as T;
}

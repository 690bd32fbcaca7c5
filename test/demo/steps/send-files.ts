import { execFile } from 'node:child_process';
import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { makeFiles } from '../files.ts';
import { ROOT, type Step, type World } from '../world.ts';

const run = promisify(execFile);

/** Real files in, by the three ways people use: the SDK, `curl -F`, and a raw POST. */
export const sendFiles: Step = {
  title: 'Devices send files',
  async run(world) {
    const files = await makeFiles(world.folder);
    await bySdk(world, files.large);
    await bySdk(world, files.awkward);
    await byForm(world, files.csv);
    await byForm(world, files.awkward);
    await byRawPost(world, files.empty);
    await byRawPost(world, files.csv);
  },
};

async function bySdk(world: World, path: string): Promise<void> {
  // The SDK as it is shipped: the built bundle.
  const sdk = (await import(pathToFileURL(join(ROOT, 'dist/sdk/node/index.mjs')).href)) as typeof import('#sdk/node');
  const client = sdk.createClient({
    url: world.url,
    key: world.device.key,
    device: 'demo-pi',
    stateFolder: join(world.folder, 'sdk-state'),
  });
  const sent = await client.send(path, { recipient: 'ops@example.com', note: 'sent by the demo' });
  await client.close();
  note(world, 'SDK', path, sent.url ?? '');
}

async function byForm(world: World, path: string): Promise<void> {
  const url = `${world.url}/v1/upload`;
  if (await hasCurl()) {
    // curl reads quotes in a path as its own: they are escaped as its manual says.
    const file = `file=@"${path.replace(/(["\\])/g, '\\$1')}"`;
    const { stdout } = await run('curl', [
      '-sS',
      '--fail-with-body',
      '-X',
      'POST',
      url,
      '-H',
      `Authorization: Bearer ${world.device.key}`,
      '-F',
      file,
      '-F',
      'recipient=recipient@example.com',
      '-F',
      'ttl=3600',
    ]);
    note(world, 'curl -F', path, (JSON.parse(stdout) as { url: string }).url);
    return;
  }
  const form = new FormData();
  form.set('file', await openAsBlob(path), basename(path));
  form.set('recipient', 'recipient@example.com');
  form.set('ttl', '3600');
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.device.key}` },
    body: form,
  });
  note(world, 'form (no curl here)', path, await linkOf(answer));
}

async function byRawPost(world: World, path: string): Promise<void> {
  const answer = await fetch(`${world.url}/v1/upload`, {
    method: 'POST',
    headers: {
      'x-api-key': world.accountKey,
      'content-type': 'application/octet-stream',
      'x-filename': encodeURIComponent(basename(path)),
      'x-recipient': 'ops@example.com',
    },
    body: await readFile(path),
  });
  note(world, 'raw POST', path, await linkOf(answer));
}

async function linkOf(answer: Response): Promise<string> {
  if (answer.status !== 201) throw new Error(`an upload answered ${answer.status}: ${await answer.text()}`);
  return ((await answer.json()) as { url: string }).url;
}

function note(world: World, by: string, path: string, link: string): void {
  world.sent.push({ by, filename: basename(path), path, link });
  world.say(`${by.padEnd(9)} ${basename(path)}`);
}

export async function hasCurl(): Promise<boolean> {
  return run('curl', ['--version']).then(
    () => true,
    () => false,
  );
}

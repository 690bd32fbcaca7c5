import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256OfFile } from '../files.ts';
import { ROOT, type SentFile, type Step, type World } from '../world.ts';
import { hasCurl } from './send-files.ts';

const run = promisify(execFile);

/** Every link is read once, half of them by `fuselink receive` and half by curl, and a second time, which must fail. */
export const readLinks: Step = {
  title: 'People read each link once',
  async run(world) {
    const curl = await hasCurl();
    for (const [index, file] of world.sent.entries()) {
      const folder = join(world.folder, 'received', String(index));
      await mkdir(folder, { recursive: true });
      const path = join(folder, 'file');
      try {
        const by = curl && index % 2 === 0 ? await byCurl(file, path) : await byReceive(file, path);
        await compare(world, file, path);
        world.say(`${by.padEnd(17)} ${file.filename}`);
      } catch (error) {
        world.failures.push(`${file.filename} (sent by ${file.by}) could not be read: ${messageOf(error)}`);
        continue;
      }
      await refusedTheSecondTime(world, file);
    }
  },
};

async function byCurl(file: SentFile, path: string): Promise<string> {
  await run('curl', ['-sS', '--fail', '-o', path, file.link]);
  // curl makes no file for an empty body.
  await run('touch', [path]);
  return 'curl';
}

async function byReceive(file: SentFile, path: string): Promise<string> {
  await run(process.execPath, [join(ROOT, 'dist/sdk/cli/fuselink.mjs'), 'receive', file.link, '-o', path]);
  return 'fuselink receive';
}

async function compare(world: World, file: SentFile, path: string): Promise<void> {
  const [sent, received] = [await sha256OfFile(file.path), await sha256OfFile(path)];
  if (sent !== received) world.failures.push(`${file.filename}: expected SHA-256 ${sent}, read ${received}`);
}

async function refusedTheSecondTime(world: World, file: SentFile): Promise<void> {
  const answer = await fetch(file.link, { headers: { 'user-agent': 'curl/8' } });
  const { code } = (await answer.json().catch(() => ({}))) as { code?: string };
  if (answer.status !== 410 || code !== 'link_burned') {
    world.failures.push(
      `a second read of ${file.filename}: expected 410 link_burned, got ${answer.status} ${code ?? ''}`,
    );
  }
}

function messageOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  return (stderr || message || String(error)).trim().split('\n')[0] ?? '';
}

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

it('README: its example, run as it stands → seals, opens and says so', async () => {
  const readme = await readFile(new URL('README.md', import.meta.url), 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-readme-'));
  try {
    const built = await build({
      stdin: { contents: example, resolveDir: new URL('.', import.meta.url).pathname, loader: 'ts' },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
    });
    await writeFile(join(folder, 'example.mjs'), built.outputFiles[0]!.contents);
    const { stdout } = await promisify(execFile)(process.execPath, ['example.mjs'], { cwd: folder });
    expect(stdout).toBe('log.csv 6\n');
    expect(await readFile(join(folder, 'log.csv'), 'utf8')).toBe('1,2,3\n');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

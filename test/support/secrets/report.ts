import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Before all files: where each notes what it scanned. Behind all: how much that was, so that a scan of nothing is seen. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'fuselink-secrets-'));
  const file = join(folder, 'scanned');
  writeFileSync(file, '');
  process.env['TEST_SECRETS_FILE'] = file;
  return () => {
    const lines = readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ').map(Number));
    const sum = (at: number) => lines.reduce((total, line) => total + (line[at] ?? 0), 0);
    rmSync(folder, { recursive: true, force: true });
    process.stdout.write(
      `Secrets: ${sum(0)} looked for in ${sum(1)} characters of log of ${lines.length} test files.\n`,
    );
  };
}

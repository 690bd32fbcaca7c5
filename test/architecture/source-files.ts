import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

export interface SourceFile {
  /** Path from the root of the repository, with forward slashes. */
  path: string;
  text: string;
  test: boolean;
  /** Written by a build from sources that are here themselves. */
  generated: boolean;
}

/** Every TypeScript file git knows of (tracked, or new and not ignored). */
export function sourceFiles(): SourceFile[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.ts', '*.tsx'],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  );
  return listed
    .split('\0')
    .filter((path) => path !== '' && !path.endsWith('.d.ts'))
    .flatMap((path) => {
      const text = readOrNull(join(ROOT, path));
      // Named after what it is for: a test, a contract suite, a benchmark, a support of those.
      const test =
        /\.(test|contract|bench|fuzz|testkit)\.tsx?$/.test(path) ||
        path.startsWith('test/') ||
        /\/(testing|fixtures)\//.test(path);
      return text === null ? [] : [{ path, text, test, generated: path.endsWith('.generated.ts') }];
    });
}

/** What a file imports: repository paths for its own code, package names for the rest. */
export function importsOf(file: SourceFile): string[] {
  const specifiers = [
    ...file.text.matchAll(
      /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g,
    ),
  ];
  return specifiers.map(([, fixed, dynamic]) => {
    const specifier = fixed ?? dynamic ?? '';
    return specifier.startsWith('.') ? normalize(join(dirname(file.path), specifier)) : specifier;
  });
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

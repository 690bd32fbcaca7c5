import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT } from './source-files.ts';

const pkg = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));

describe('the top level', () => {
  test('entries: only the five folders and the named files', () => {
    const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0');
    const entries = new Set(tracked.filter((path) => path !== '').map((path) => path.split('/')[0] ?? ''));
    const visible = [...entries].filter((name) => !name.startsWith('.')).sort();
    const allowed = [
      'README.md',
      'device-sim',
      'firmware-bridge',
      'package-lock.json',
      'package.json',
      'sdk',
      'server',
      'test',
      'tsconfig.json',
    ];
    expect(visible.filter((name) => !allowed.includes(name))).toEqual([]);
  });

  test('versions: every dependency is exact and locked', () => {
    const all: Record<string, string> = { ...pkg.dependencies, ...pkg.devDependencies };
    for (const [name, version] of Object.entries(all)) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
    }
  });

  test('lockfile: names no download addresses', () => {
    const resolved = Object.values(lock.packages as Record<string, { resolved?: string; link?: boolean }>).filter(
      (entry) => entry.resolved !== undefined,
    );
    expect(resolved).toEqual([]);
  });

  test('run-time packages: each runs on Node 20.19', () => {
    const refuses = Object.entries(lock.packages as Record<string, { dev?: boolean; engines?: { node?: string } }>)
      .filter(
        ([path, entry]) => path !== '' && entry.dev !== true && /^\s*(>=|\^)\s*2[1-9]/.test(entry.engines?.node ?? ''),
      )
      .map(([path]) => path);
    expect(refuses).toEqual([]);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DashboardFile, DashboardFiles } from './http/dashboard/files.ts';

export const DASHBOARD_MANIFEST = 'manifest.json';

/** What the build says of itself: the two files a page begins with, and all there are. */
export interface DashboardManifest {
  script: string;
  style: string;
  files: string[];
}

/** Beside the bundled server, or, from the sources, where `npm run build` puts it. */
const FOLDERS = [join(import.meta.dirname, '../dashboard'), join(import.meta.dirname, '../dist/dashboard')];

const TYPES: Record<string, string> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};

/** The dashboard as it was built, held in memory; null where it was not. */
export function loadDashboard(): DashboardFiles | null {
  const folder = FOLDERS.find((candidate) => existsSync(join(candidate, DASHBOARD_MANIFEST)));
  if (folder === undefined) return null;
  const manifest = JSON.parse(readFileSync(join(folder, DASHBOARD_MANIFEST), 'utf8')) as DashboardManifest;
  const files = new Map<string, DashboardFile>();
  for (const name of manifest.files) {
    const read = (ending: string) => readFileSync(join(folder, name + ending));
    const type = TYPES[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
    files.set(name, { type, plain: read(''), brotli: read('.br'), gzip: read('.gz') });
  }
  return { script: manifest.script, style: manifest.style, files };
}

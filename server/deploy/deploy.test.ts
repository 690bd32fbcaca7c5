import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { ERRORS } from '#sdk/protocol';
import { readSettings, SETTINGS } from '../settings.ts';

const here = import.meta.dirname;
/** The programs of these files, as `npm run build` makes them. */
const BUNDLES = { server: 'dist/server/main.mjs', bridge: 'dist/bridge/main.mjs' };
const file = (name: string) => readFileSync(join(here, name), 'utf8');
const isThere = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** The YAML parser that other packages of the tests bring along; null where none is installed. */
function yamlParser(): ((text: string, options: object) => unknown) | null {
  try {
    return (createRequire(import.meta.url)('yaml') as { parse(text: string, options: object): unknown }).parse;
  } catch {
    return null;
  }
}
const parseYaml = yamlParser();
// biome-ignore lint/suspicious/noExplicitAny: a parsed file is whatever it says
const yaml = (name: string): any => parseYaml?.(file(name), { merge: true });

it('deploy: every FUSELINK_ name in these files → a setting of the server, or a variable of the files themselves', () => {
  const known = new Set([...SETTINGS.map(({ name }) => name), 'FUSELINK_SITE', 'FUSELINK_NODES']);
  for (const name of readdirSync(here).filter((entry) => !entry.endsWith('.ts'))) {
    const used = file(name).match(/\bFUSELINK_[A-Z0-9_]+/g) ?? [];
    expect({ name, unknown: used.filter((setting) => !known.has(setting)) }).toEqual({ name, unknown: [] });
  }
});

it('compose: the relays, with what example.env asks for filled in → settings that the server takes', (test) => {
  if (parseYaml === null) return test.skip('no YAML parser is installed');
  const { services, volumes } = yaml('compose.yaml');
  const asked = [...file('example.env').matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name as string);
  const used = new Set([...file('compose.yaml').matchAll(/\$\{([A-Z0-9_]+):\?\}/g)].map(([, name]) => name));
  expect([...used].sort()).toEqual([...asked].sort());
  for (const relay of ['relay-1', 'relay-2']) {
    const filled = Object.entries(services[relay].environment as Record<string, string>).map(([name, value]) => [
      name,
      name === 'FUSELINK_PUBLIC_URL'
        ? 'https://files.example.com'
        : value.replaceAll(/\$\{[A-Z0-9_]+:\?\}/g, 'a-secret-long-enough'),
    ]);
    const settings = readSettings(Object.fromEntries(filled));
    expect(settings).toMatchObject({ metadata: { kind: 'postgres' }, blobs: { kind: 's3' }, trustProxy: true });
  }
  for (const [name, service] of Object.entries<{ volumes?: string[]; depends_on?: object }>(services)) {
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':');
      expect({ name, known: from.startsWith('./') || from in volumes }).toEqual({ name, known: true });
    }
    const needs = Array.isArray(service.depends_on) ? service.depends_on : Object.keys(service.depends_on ?? {});
    for (const needed of needs) expect(Object.keys(services)).toContain(needed);
  }
});

it('alerts: parsed → each has an expression, a severity and a summary, and codes in them are real ones', (test) => {
  if (parseYaml === null) return test.skip('no YAML parser is installed');
  const [group] = yaml('alerts.yml').groups;
  expect(group.rules.length).toBeGreaterThan(5);
  for (const rule of group.rules) {
    expect(rule).toMatchObject({ alert: expect.stringMatching(/^Fuselink/), expr: expect.any(String) });
    expect(['page', 'ticket']).toContain(rule.labels.severity);
    expect(rule.annotations.summary.length).toBeGreaterThan(10);
    const opened = rule.expr.match(/[({[]/g)?.length;
    expect(rule.expr.match(/[)}\]]/g)?.length).toBe(opened);
    for (const [, code] of rule.expr.matchAll(/code="([a-z_]+)"/g)) expect(Object.keys(ERRORS)).toContain(code);
  }
});

it.each(['fuselink.service', 'fuselink-bridge.service'])(
  'systemd unit: %s → stops later than what it runs lets work finish, and systemd finds nothing wrong with it',
  (name) => {
    const unit = file(name);
    expect(Number(/TimeoutStopSec=(\d+)/.exec(unit)?.[1])).toBeGreaterThan(30);
    const [, program = ''] = /^ExecStart=\/usr\/bin\/node \/opt\/fuselink\/(\S+)/m.exec(unit) ?? [];
    expect(Object.values(BUNDLES)).toContain(program);
    if (!isThere('systemd-analyze')) return;
    const folder = mkdtempSync(join(tmpdir(), 'fuselink-unit-'));
    try {
      writeFileSync(join(folder, name), unit.replace('/usr/bin/node', process.execPath));
      const verified = spawnSync('systemd-analyze', ['verify', join(folder, name)], { encoding: 'utf8' });
      expect(verified.stderr).not.toMatch(new RegExp(`${name}:\\d+:`));
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

it('Containerfile: what it copies → every folder the build reads; what the bundles load → a dependency that stays', () => {
  const { scripts, dependencies } = JSON.parse(readFileSync(join(here, '../../package.json'), 'utf8'));
  const copied = [...file('Containerfile').matchAll(/^COPY (\w+) \.\/\1$/gm)].map(([, folder]) => folder as string);
  const read = [...(scripts.build as string).matchAll(/tsx ([\w-]+)\//g)].map(([, folder]) => folder as string);
  for (const folder of read) expect(file('Containerfile')).toContain(`COPY ${folder} ./${folder}\n`);
  for (const folder of copied) expect(read).toContain(folder);
  const folders = Object.values(BUNDLES).map((bundle) => dirname(join(here, '../..', bundle)));
  for (const bundle of folders) {
    const files = readdirSync(bundle).filter((name) => name.endsWith('.mjs'));
    const text = files.map((name) => readFileSync(join(bundle, name), 'utf8')).join('\n');
    const loaded = [...text.matchAll(/^import [^"']*["']([^"'.#][^"']*)["'];$/gm)].map(([, name]) => name as string);
    const packages = loaded.filter((name) => !isBuiltin(name)).map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)?.[0]);
    expect(packages.length).toBeGreaterThan(0);
    expect({ bundle, missing: packages.filter((name) => !((name ?? '') in dependencies)) }).toEqual({
      bundle,
      missing: [],
    });
  }
  expect(readdirSync(join(here, '../../dist/dashboard'))).toContain('manifest.json');
});

it('compose: the bridge → runs what the image has, on a configuration and secrets that are mounted', (test) => {
  if (parseYaml === null) return test.skip('no YAML parser is installed');
  const { bridge } = yaml('compose.yaml').services;
  expect(bridge.entrypoint).toEqual(['node', BUNDLES.bridge]);
  const at = bridge.volumes.map((volume: string) => volume.split(':')[1]);
  expect(at).toContain(bridge.command[1]);
  const config = JSON.parse(file('fuselink-bridge.json'));
  expect(at).toContain(config.data);
  expect(config.server).toBe(/^FUSELINK_PUBLIC_URL=(.+)$/m.exec(file('example.env'))?.[1]);
  const { cert, key } = config.tls;
  for (const path of [config.gateway_key_file, config.broker.password_file, cert, key]) {
    expect(at).toContain(`/etc/fuselink-bridge/${path.split('/')[0]}`);
  }
  expect(bridge.healthcheck.test.join(' ')).toContain(`http://${config.http}/healthz`);
  expect(bridge.ports.map((port: string) => port.split(':')[1])).toEqual(
    config.listen.map((address: string) => new URL(address).port),
  );
});

it('nginx: the snippet → accepted by nginx', (test) => {
  if (!isThere('nginx') || !isThere('openssl')) return test.skip('nginx or openssl is not installed here');
  const folder = mkdtempSync(join(tmpdir(), 'fuselink-nginx-'));
  try {
    const certificate = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=x'];
    const to = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'fullchain.pem')];
    spawnSync('openssl', ['req', ...certificate, ...to]);
    const snippet = file('nginx.conf').replaceAll('/etc/ssl/fuselink', folder);
    const whole = `pid ${folder}/pid; error_log ${folder}/log; events {} http { ${snippet} }`;
    writeFileSync(join(folder, 'nginx.conf'), whole);
    const tried = spawnSync('nginx', ['-t', '-c', join(folder, 'nginx.conf')], { encoding: 'utf8' });
    expect({ status: tried.status, said: tried.stderr }).toMatchObject({ status: 0 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('Caddy: the file → accepted by Caddy', (test) => {
  if (!isThere('caddy')) return test.skip('caddy is not installed here');
  const env = { ...process.env, FUSELINK_SITE: 'files.example.com', FUSELINK_NODES: '127.0.0.1:8787' };
  const tried = spawnSync('caddy', ['validate', '--adapter', 'caddyfile', '--config', join(here, 'Caddyfile')], {
    encoding: 'utf8',
    env,
  });
  expect({ status: tried.status, said: tried.stderr }).toMatchObject({ status: 0 });
});

it('proxies: both snippets → overwrite what a client says of its address, and hide /metrics', () => {
  expect(file('nginx.conf')).toMatch(/proxy_set_header X-Forwarded-For \$remote_addr;/);
  expect(file('Caddyfile')).toMatch(/header_up X-Forwarded-For \{remote_host\}/);
  for (const name of ['nginx.conf', 'Caddyfile']) expect(file(name)).toMatch(/\/metrics.*404/);
});

import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cutFlash, decodeSlot, SLOT_BYTES, steadyPower } from '#sdk/core';
import { startBridgeChild } from '../../firmware-bridge/testing/bridge-child.ts';
import { CLIENT, INTERPRETERS, PYTHON_ENV, python } from '../../sdk/micropython/testing/interpreters.ts';
import type { DeviceId, TransferId } from '../../server/domain/ids.ts';
import { unwrapLink } from '../../server/testing/signing-device.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { addGateway } from '../../server/usecases/gateway/gateways.ts';
import { lookAtRotation, orderRotation } from '../../server/usecases/rotation/operate.ts';
import { espruinoBundle } from '../espruino/bundle.ts';
import { Realm } from '../espruino/realm.ts';
import { readLink } from '../support/read-back.ts';
import { run } from '../support/run.ts';
import { startTestServer, type TestServer, temporaryFolder } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { snippet } from './snippets.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROFILES = ['pi-zero', 'esp32-micropython', 'espruino', 'linux-curl', 'ot-gateway'];
const page = (name: string) => `sdk/profiles/${name}.md`;

/** The pages of the device profiles: what they show is run as it stands, hosts, keys and paths apart. */
describe('device profiles', () => {
  let server: TestServer;
  let folder: { path: string; remove(): Promise<void> };
  let device: { id: DeviceId; key: string; recoverySecret: string };
  let work: string;
  let devices = 0;

  beforeAll(async () => {
    server = await startTestServer();
    folder = await temporaryFolder();
  });
  afterAll(async () => {
    await server.close();
    await folder.remove();
  });
  beforeEach(async () => {
    const made = await enrolDevice(server.deps, server.operator, { name: `profile-${++devices}` });
    device = { id: made.device.id as DeviceId, key: made.key, recoverySecret: made.recoverySecret };
    work = join(folder.path, String(devices));
    await mkdir(work, { mode: 0o700 });
    await writeFile(join(work, 'sensor.csv'), 'minute,celsius\n0,61.2\n');
    await writeFile(join(work, 'key.txt'), `${device.key}\n`);
  });

  const filled = (name: string, profile: string) =>
    snippet(page(profile), name)
      .replaceAll('http://HOST', server.url)
      .replaceAll('/var/log/sensor.csv', join(work, 'sensor.csv'))
      .replaceAll('/var/lib/fuselink', join(work, 'device'))
      .replaceAll('/opt/fuselink', join(ROOT, 'sdk/micropython'));
  const bash = (script: string, env: Record<string, string> = {}) =>
    run('bash', ['-c', `set -e\n${script}`], { cwd: work, env });
  const expectSensorFile = async (url: string) =>
    expect((await readLink(server, url)).bytes.toString()).toBe('minute,celsius\n0,61.2\n');

  test('index: every profile has a page, in the table of sdk/README.md, and says what it protects', () => {
    const readme = readFileSync(join(ROOT, 'sdk/README.md'), 'utf8');
    const rows = readme.slice(readme.indexOf('What each can protect'));
    expect(rows).toMatch(/\| certificate checked \| key on the wire \| entropy \| flash \|/);
    for (const name of PROFILES) {
      expect(readme).toContain(`profiles/${name}.md`);
      expect(readFileSync(join(ROOT, page(name)), 'utf8')).toContain('**What it protects.**');
    }
    expect([...readme.matchAll(/profiles\/([\w-]+)\.md/g)].map(([, name]) => name)).toEqual(PROFILES);
  });

  test('index: every file a page names → exists', () => {
    for (const name of PROFILES) {
      const text = readFileSync(join(ROOT, page(name)), 'utf8');
      const named = [...text.matchAll(/`((?:sdk|server|firmware-bridge|test)\/[\w./-]+)`/g)].map(
        ([, path]) => path ?? '',
      );
      expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    }
  });

  const { program, missing } = python();
  describe.skipIf(missing !== null)(`pi-zero${missing === null ? '' : ` (${missing})`}`, () => {
    const env = () => ({
      ...PYTHON_ENV,
      FUSELINK_CREDENTIALS: join(work, 'keys'),
      FUSELINK_STATE: join(work, 'state'),
    });

    test('import, send, status; readings → links with what was sent', async () => {
      const sent = await bash(filled('pi-python', 'pi-zero'), env());
      expect(sent.code, sent.stderr).toBe(0);
      const [, url = '', ...status] = sent.stdout.trim().split('\n');
      await expectSensorFile(url);
      expect(status.join()).toContain(device.id);
      const readings = await bash(`export FUSELINK_URL=${server.url}\n${filled('pi-readings', 'pi-zero')}`, env());
      expect((await readLink(server, readings.stdout.trim())).bytes.toString()).toBe('{"celsius": 21.5}\n');
    });

    test('program → a link, and the rotation that was wanted', async () => {
      await bash(`${program} -m fuselink key import < key.txt`, {
        ...env(),
        FUSELINK_CREDENTIALS: join(work, 'device'),
      });
      await orderRotation(server.deps, server.operator, device.id, { verb: 'rotate', plan: { soakMs: 0 } });
      await writeFile(join(work, 'program.py'), filled('pi-program', 'pi-zero'));
      const ran = await run(program, [join(work, 'program.py')], { cwd: work, env: env() });
      expect(ran.stderr).toBe('');
      await expectSensorFile(ran.stdout.trim());
      expect((await lookAtRotation(server.deps, server.operator, device.id)).state).not.toBe('WANTED');
    });
  });

  test.each(INTERPRETERS.filter(({ micro }) => micro))(
    'esp32-micropython: provisioned, sent → $name',
    async ({ open }) => {
      const board = await open();
      try {
        await board.run('import fake_esp32; fake_esp32.boot(); place = testkit.scratch("log.csv", b"a,b\\n1,2\\n")');
        const provision = snippet(page('esp32-micropython'), 'micropython-provision')
          .replace('KEY', device.key)
          .replace('DEVICE', device.id)
          .replace('RECOVERY', device.recoverySecret);
        const client = snippet(page('esp32-micropython'), 'micropython-client')
          // The interpreter of the tests has no TLS, and its disk is not the board's.
          .replace('https://HOST', server.url)
          .replaceAll('"/fuselink', 'testkit.scratch_folder("board") + "')
          .replace('open("/ca.pem").read()', 'None')
          .replace('"/log.csv"', 'place');
        await board.run(provision);
        await orderRotation(server.deps, server.operator, device.id, { verb: 'rotate', plan: { soakMs: 0 } });
        const printed = await board.run(client);
        expect((await readLink(server, printed.trim().split('\n')[0] ?? '')).bytes.toString()).toBe('a,b\n1,2\n');
        await board.run('for i in range(40):\n    testkit.time_passes(client)\n');
        expect(await board.run('print(client.rotation.agent.phase, client.rotation.agent.base[0])')).toBe('SETTLED 2');
        expect(readFileSync(CLIENT, 'utf8')).not.toMatch(/^import (requests|urllib|asyncio)/m);
      } finally {
        await board.close();
      }
    },
  );

  test('linux-curl: run as written, and again after a lost answer → one transfer, the same link', async () => {
    const script = filled('curl-device', 'linux-curl');
    const lost = await bash(script.replace('grep -q', 'false && grep -q'));
    expect(lost.code).not.toBe(0);
    const first = JSON.parse(await readFile(join(work, 'answer.json'), 'utf8')) as { url: string };
    const { stdout, stderr, code } = await bash(script);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.trim()).toBe(first.url);
    expect(existsSync(join(work, 'once'))).toBe(false);
    await expectSensorFile(stdout.trim());
    expect((await readFile(join(work, 'auth'), 'utf8')).trim()).toBe(`Authorization: Bearer ${device.key}`);
  });

  test('espruino: the program beside the built module, in a realm with what a board has → a reading, its link for who holds the key', async () => {
    const flash = cutFlash(steadyPower(), 2, 4096);
    const program = snippet(page('espruino'), 'espruino-client')
      .replace('HOST', '127.0.0.1')
      .replace('8787', String(server.port))
      .replace('DEVICE', device.id)
      .replace("'KEY'", `'${device.key}'`);
    const printed: unknown[][] = [];
    const board = new Realm({ bundle: await espruinoBundle(), flash });
    board.run(program, (...values) => printed.push(values));
    expect(await board.until(() => printed.length > 0)).toBe(true);
    expect(board.faults).toEqual([]);
    const [id, wrapped] = printed[0] as [string, string];
    const row = (of: string) => server.deps.store.get('transfers', { id: of as TransferId });
    expect(await row(id)).toMatchObject({ state: 'ready', device_id: device.id });
    const read = await readLink(server, `${server.url}/get/${unwrapLink(device.key, wrapped)}`);
    expect(read.bytes.toString()).toBe('celsius\n21.5\n');
    expect(read.headers.get('content-disposition')).toContain('reading.csv');

    // After a reboot without the first key in the program: the flash has it, in the pages that the page names.
    const slots = [0, 1].map((slot) => decodeSlot(flash.read(slot * 4096, SLOT_BYTES))?.generation);
    expect(slots).toEqual([1, 1]);
    const rebooted = new Realm({ bundle: await espruinoBundle(), flash });
    rebooted.run(program.replace(/key: '.*',.*/, ''), (...values) => printed.push(values));
    expect(await rebooted.until(() => printed.length > 1)).toBe(true);
    expect(await row(String(printed[1]?.[0]))).toMatchObject({ state: 'ready', size: 13 });
  });

  const noMosquitto = ['/usr/bin/mosquitto_pub', '/usr/local/bin/mosquitto_pub'].every((path) => !existsSync(path));
  test.skipIf(noMosquitto)(
    'ot-gateway: checked, run, published with QoS 1 → a link with the reading (needs mosquitto-clients)',
    async () => {
      const gateway = await addGateway(server.deps, server.operator, { name: `hall-${devices}`, devices: [device.id] });
      await writeFile(join(work, 'gateway.key'), gateway.key, { mode: 0o600 });
      await writeFile(join(work, 'plc.key'), device.key);
      const tsx = join(ROOT, 'node_modules/.bin/tsx');
      const bridgeProgram = `fuselink-bridge() { '${tsx}' '${join(ROOT, 'firmware-bridge/main.ts')}' "$@"; }`;
      const checked = await bash(`${bridgeProgram}\n${filled('gateway-bridge', 'ot-gateway')}`);
      expect(checked.code, checked.stdout + checked.stderr).toBe(0);
      const config = JSON.parse(await readFile(join(work, 'fuselink-bridge.json'), 'utf8')) as object;
      const changed = { ...config, listen: ['mqtt://127.0.0.1:0'], http: '127.0.0.1:0', uplink: { age_ms_max: 200 } };
      await writeFile(join(work, 'fuselink-bridge.json'), JSON.stringify(changed));
      const bridge = await startBridgeChild(join(work, 'fuselink-bridge.json'));
      try {
        const published = await bash(
          snippet(page('ot-gateway'), 'gateway-publish')
            .replace('GATEWAY -p 1883', `127.0.0.1 -p ${new URL(bridge.url).port}`)
            .replaceAll('DEVICE', device.id),
        );
        expect([published.code, published.stderr]).toEqual([0, '']);
        const links = join(work, 'data/links.jsonl');
        const line = await until('the reading was sent', async () => {
          const text = existsSync(links) ? await readFile(links, 'utf8') : '';
          return text.endsWith('\n') && text;
        });
        const { url } = JSON.parse(line.trim().split('\n')[0] ?? '') as { url: string };
        expect((await readLink(server, url)).status).toBe(200);
      } finally {
        await bridge.kill();
      }
    },
  );
});

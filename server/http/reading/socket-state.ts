import { readFile } from 'node:fs/promises';
import { isIPv6, type Socket } from 'node:net';
import { endianness } from 'node:os';

/**
 * What the operating system knows of a connection: how many bytes the other side has not confirmed, and whether it has
 * closed. `gone`: reset, or closed on both sides. `unknown`: this system does not tell (only Linux does).
 */
export type SocketState =
  | { kind: 'known'; unackedBytes: number; peerClosed: boolean }
  | { kind: 'gone' }
  | { kind: 'unknown' };

/** TCP states as Linux numbers them (include/net/tcp_states.h) in which the other side's FIN has come. */
const PEER_CLOSED = new Set(['06', '08', '09', '0B']);

/** Readings of the table in which a connection must be missing before it counts as gone. */
const LOOKS_FOR_GONE = 6;

let look: Promise<readonly string[] | null> | null = null;

/**
 * A connection's two ends as the system's table writes them, or null where they are not known any more. Ask while the
 * socket is open: Node forgets the addresses of one it has let go of, and the system does not.
 */
export function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string | null {
  if (localAddress === undefined || localPort === undefined) return null;
  if (remoteAddress === undefined || remotePort === undefined) return null;
  return `${hexEnd(localAddress, localPort)} ${hexEnd(remoteAddress, remotePort)} `;
}

/**
 * Looks at a connection (`ends` of endsOf). Looks asked for at the same time share one reading of the table. The system
 * writes its table piece by piece and may leave out a row while others come and go, so one that is missing is looked for
 * again: what is really gone stays gone.
 */
export async function socketState(ends: string | null, read = sharedTables): Promise<SocketState> {
  if (ends === null) return { kind: 'gone' };
  for (let looks = 1; ; looks++) {
    const tables = await read();
    if (tables === null) return { kind: 'unknown' };
    const state = stateIn(tables, ends);
    if (state.kind !== 'gone' || looks === LOOKS_FOR_GONE) return state;
  }
}

function sharedTables(): Promise<readonly string[] | null> {
  look ??= readTables().finally(() => {
    look = null;
  });
  return look;
}

/** The state of the connection whose ends are written `local remote ` as in /proc/net/tcp. */
export function stateIn(tables: readonly string[], ends: string): SocketState {
  for (const table of tables) {
    const at = table.indexOf(ends);
    if (at === -1) continue;
    // `st tx_queue:rx_queue …`
    const [state = '', queues = ''] = table.slice(at + ends.length, at + ends.length + 32).split(' ');
    return {
      kind: 'known',
      unackedBytes: Number.parseInt(queues.split(':')[0] ?? '0', 16),
      peerClosed: PEER_CLOSED.has(state),
    };
  }
  return { kind: 'gone' };
}

async function readTables(): Promise<readonly string[] | null> {
  if (process.platform !== 'linux') return null;
  try {
    const table = await readFile('/proc/net/tcp', 'latin1');
    return [table, await readFile('/proc/net/tcp6', 'latin1').catch(() => '')];
  } catch {
    return null;
  }
}

/** `address:port` as the kernel prints it: 32-bit words in the machine's order, upper-case hex. */
export function hexEnd(address: string, port: number): string {
  const bytes = isIPv6(address) ? ipv6Bytes(address) : address.split('.').map(Number);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const word = bytes.slice(at, at + 4);
    words.push(hex(endianness() === 'LE' ? word.reverse() : word));
  }
  return `${words.join('')}:${hex([port >> 8, port & 255])}`;
}

function hex(bytes: readonly number[]): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

/** The 16 bytes of an IPv6 address, `::` and an embedded IPv4 address included; a zone (`%eth0`) is left off. */
function ipv6Bytes(address: string): number[] {
  const text = (address.split('%')[0] ?? '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) => {
    return `${hex([Number(a), Number(b)])}:${hex([Number(c), Number(d)])}`;
  });
  const [head = '', tail] = text.split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const before = groups(head);
  const after = groups(tail);
  const zeros = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

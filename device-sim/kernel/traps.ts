import crypto from 'node:crypto';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

/** Something in virtual time reached for the real world. */
export class TrapError extends Error {
  override name = 'TrapError';
}

type Holder = Record<string, unknown>;

interface Trap {
  holder: Holder;
  name: string;
  what: string;
}

const here = globalThis as unknown as Holder;
const of = (holder: object, names: readonly string[], what: string): Trap[] =>
  names.map((name) => ({ holder: holder as Holder, name, what }));

const TRAPS: readonly Trap[] = [
  ...of(globalThis, ['setTimeout', 'setInterval', 'setImmediate'], 'a real timer'),
  ...of(Date, ['now'], 'the real clock'),
  ...of(performance, ['now'], 'the real clock'),
  ...of(Math, ['random'], 'real chance'),
  ...of(globalThis, ['fetch'], 'a socket'),
  ...of(net, ['connect', 'createConnection', 'createServer'], 'a socket'),
  ...of(net.Socket.prototype, ['connect'], 'a socket'),
  ...of(net.Server.prototype, ['listen'], 'a socket'),
  ...of(http, ['request', 'get'], 'a socket'),
  ...of(crypto, ['randomBytes', 'randomInt', 'randomUUID', 'randomFillSync'], 'real chance'),
  ...of(crypto.webcrypto, ['getRandomValues', 'randomUUID'], 'real chance'),
];

/** `new Date()` and `Date()` read the clock; `new Date(ms)` does not. */
function trappedDate(real: DateConstructor): DateConstructor {
  return new Proxy(real, {
    construct(target, args: []) {
      if (args.length === 0) throw touched('Date', 'the real clock');
      return new target(...args);
    },
    apply() {
      throw touched('Date', 'the real clock');
    },
  });
}

function touched(name: string, what: string): TrapError {
  return new TrapError(`expected virtual time, got ${what}: ${name} was called while a simulation ran`);
}

let armed = 0;

/**
 * Makes every way to real time, chance and sockets throw a TrapError, until the function that is returned is called.
 * Those that cannot be reached by name from here (a copy taken before) are the architecture test's to forbid.
 */
export function armTraps(): () => void {
  if (armed > 0) throw new Error('expected one simulation at a time in a process');
  armed++;
  const kept = TRAPS.map(({ holder, name }) => Object.getOwnPropertyDescriptor(holder, name));
  const RealDate = Date;
  for (const { holder, name, what } of TRAPS) {
    const trap = () => {
      throw touched(name, what);
    };
    Object.defineProperty(holder, name, { value: trap, configurable: true, writable: true });
  }
  here['Date'] = trappedDate(RealDate);
  syncBuiltinESMExports();
  return () => {
    armed--;
    here['Date'] = RealDate;
    for (const [i, { holder, name }] of TRAPS.entries()) {
      const descriptor = kept[i];
      if (descriptor === undefined) delete holder[name];
      else Object.defineProperty(holder, name, descriptor);
    }
    syncBuiltinESMExports();
  };
}

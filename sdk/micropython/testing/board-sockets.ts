import { randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';

/** One connection of the board: bytes that came and were not read yet, and who waits for more. */
interface Line {
  socket: Socket;
  held: Buffer;
  ended: boolean;
  failed: boolean;
  more: (() => void) | null;
}

/** The sockets a board in WebAssembly has not: asked for one thing at a time. Answers are hex, or null for a broken line. */
export class BoardSockets {
  readonly #lines = new Map<number, Line>();
  #next = 1;

  async answer(what: string, words: unknown[]): Promise<unknown> {
    const [first, second] = words as [never, never];
    switch (what) {
      case 'connect':
        return this.#connect(first, second);
      case 'write':
        return this.#write(first, second);
      case 'read':
        return this.#read(first, second);
      case 'readline':
        return this.#readline(first, second);
      case 'close':
        return this.#close(first);
      case 'random':
        return randomBytes(first).toString('hex');
      default:
        throw new Error(`expected something a socket can do, got ${what}`);
    }
  }

  closeAll(): void {
    for (const id of [...this.#lines.keys()]) this.#close(id);
  }

  #connect(host: string, port: number): Promise<number> {
    return new Promise((resolve) => {
      const socket = createConnection({ host, port, noDelay: true });
      const line: Line = { socket, held: Buffer.alloc(0), ended: false, failed: false, more: null };
      const wake = () => {
        line.more?.();
        line.more = null;
      };
      socket.on('data', (data) => {
        line.held = Buffer.concat([line.held, data]);
        wake();
      });
      socket.on('end', () => {
        line.ended = true;
        wake();
      });
      socket.on('error', () => {
        line.failed = true;
        wake();
        resolve(0);
      });
      socket.on('close', () => {
        line.ended = true;
        wake();
      });
      socket.on('connect', () => {
        const id = this.#next++;
        this.#lines.set(id, line);
        resolve(id);
      });
    });
  }

  #write(id: number, hex: string): Promise<boolean> {
    const line = this.#lines.get(id);
    if (line === undefined || line.failed || line.socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => line.socket.write(Buffer.from(hex, 'hex'), (error) => resolve(!error)));
  }

  /** Takes `count()` bytes as soon as that says so; what is there at the end. */
  async #take(id: number, count: (held: Buffer) => number | null): Promise<string | null> {
    const line = this.#lines.get(id);
    if (line === undefined) return null;
    for (;;) {
      const enough = count(line.held);
      if (enough === null && line.failed) return null;
      if (enough === null && !line.ended) {
        await new Promise<void>((resolve) => {
          line.more = resolve;
        });
        continue;
      }
      const taken = line.held.subarray(0, enough ?? line.held.length);
      line.held = line.held.subarray(taken.length);
      return taken.toString('hex');
    }
  }

  #read(id: number, count: number): Promise<string | null> {
    return this.#take(id, (held) => (held.length >= count ? count : null));
  }

  #readline(id: number, most: number): Promise<string | null> {
    return this.#take(id, (held) => {
      const end = held.indexOf(10) + 1;
      return end > 0 || held.length >= most ? Math.min(end || most, most) : null;
    });
  }

  #close(id: number): null {
    this.#lines.get(id)?.socket.destroy();
    this.#lines.delete(id);
    return null;
  }
}

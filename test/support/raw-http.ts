import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

export interface RawAnswer {
  status: number;
  /** Lower-case names; a repeated field keeps its last value. */
  headers: Record<string, string>;
  body: Buffer;
  /** Status codes of the 1xx answers that came before it, in order. */
  interim: number[];
  text(): string;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what each test is about to find out
  json(): Record<string, any>;
}

/** A TCP connection on which a test writes HTTP byte for byte, right or wrong. */
export class RawConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #interim: number[] = [];
  #ended: Error | 'end' | null = null;
  #wake: () => void = () => {};

  static readonly #open = new Set<RawConnection>();

  /** Destroys whatever a test left open, so that a server need not wait for it. */
  static closeAll(): void {
    for (const connection of RawConnection.#open) connection.close();
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    RawConnection.#open.add(this);
    socket.on('close', () => RawConnection.#open.delete(this));
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    const over = (how: Error | 'end') => {
      this.#ended ??= how;
      this.#wake();
    };
    socket.on('end', () => over('end'));
    socket.on('error', (error) => over(error));
    socket.on('close', () => over('end'));
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  /** Writes and waits until the operating system has it. A connection that is gone swallows it. */
  async send(bytes: string | Uint8Array): Promise<void> {
    if (this.socket.destroyed || !this.socket.writable) return;
    await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** Request line and fields, each as given, with the empty line behind them. */
  head(line: string, fields: readonly string[]): Promise<void> {
    return this.send(`${[line, ...fields].join('\r\n')}\r\n\r\n`);
  }

  /** The next final answer. Throws where the connection ends before it is whole. */
  async answer(options: { head?: boolean } = {}): Promise<RawAnswer> {
    for (;;) {
      const answer = this.#parse(options.head === true);
      if (answer !== null) return answer;
      if (this.#ended !== null) {
        throw new Error(
          `expected an answer, the connection ended (${this.#ended}) after ${this.#received.length} bytes`,
        );
      }
      await this.#woken();
    }
  }

  /** Resolves with the 1xx answers seen once `count` of them have come. */
  async interimAnswers(count: number): Promise<readonly number[]> {
    for (;;) {
      this.#takeInterim();
      if (this.#interim.length >= count) return this.#interim;
      if (this.#ended !== null) throw new Error(`expected ${count} interim answers, the connection ended`);
      await this.#woken();
    }
  }

  /** Resolves when the server has ended or reset the connection. */
  async ended(): Promise<Error | 'end'> {
    while (this.#ended === null) await this.#woken();
    return this.#ended;
  }

  /** Bytes received that no answer has used. */
  get unread(): Buffer {
    return this.#received;
  }

  halfClose(): void {
    this.socket.end();
  }

  /** RST, as a killed peer or a lost radio link looks. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #takeInterim(): void {
    for (;;) {
      const match = /^HTTP\/1\.1 (1\d\d) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(this.#received.toString('latin1'));
      if (match === null) return;
      this.#interim.push(Number(match[1]));
      this.#received = this.#received.subarray(match[0].length);
    }
  }

  #parse(isHead: boolean): RawAnswer | null {
    this.#takeInterim();
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return null;
    const [line = '', ...fields] = this.#received.subarray(0, end).toString('latin1').split('\r\n');
    const headers: Record<string, string> = {};
    for (const field of fields) {
      const colon = field.indexOf(':');
      headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
    }
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1]);
    const bodiless = isHead || status === 204 || status === 304;
    const length = bodiless ? 0 : Number(headers['content-length']);
    if (Number.isNaN(length)) throw new Error(`expected a Content-Length, got: ${line}; ${fields.join('; ')}`);
    if (this.#received.length < end + 4 + length) return null;
    const body = this.#received.subarray(end + 4, end + 4 + length);
    this.#received = this.#received.subarray(end + 4 + length);
    const interim = this.#interim;
    this.#interim = [];
    return {
      status,
      headers,
      body,
      interim,
      text: () => body.toString('utf8'),
      json: () => JSON.parse(body.toString('utf8')),
    };
  }
}

/** Writes a whole request as given and reads its answer. */
export async function rawExchange(
  port: number,
  request: { head: string; fields: readonly string[]; body?: string | Uint8Array },
): Promise<RawAnswer> {
  const connection = await RawConnection.open(port);
  try {
    await connection.head(request.head, request.fields);
    if (request.body !== undefined) await connection.send(request.body);
    return await connection.answer({ head: request.head.startsWith('HEAD ') });
  } finally {
    connection.close();
  }
}

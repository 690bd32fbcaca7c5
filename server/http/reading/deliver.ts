import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OpenRead } from '../../usecases/read/read-link.ts';
import type { ReadEnding } from '../../usecases/read/record-ending.ts';
import { CloseWatch } from './close-watch.ts';
import { ResponseSink } from './response-sink.ts';

export interface DeliverOptions {
  status: 200 | 206;
  headers: Record<string, string | number>;
  /** Whether the client's orderly close counts as proof (a plain GET, no proxy in between). */
  closeProves: boolean;
  /** How long a finished answer waits for the client to close first. */
  lingerMs: number;
  /** How long a client may take nothing before the read is broken off. */
  stallMs: number;
}

/**
 * Sends a read's bytes and finds out how it ended (CloseWatch says what counts as proof). Throws what went wrong
 * before the first byte, so that it can still be answered; a fault after that breaks the connection, because only a
 * short answer tells the client that it has not got everything.
 */
export async function deliver(
  req: IncomingMessage,
  res: ServerResponse,
  read: OpenRead,
  options: DeliverOptions,
): Promise<void> {
  const { socket } = req;
  const idleTimeoutMs = socket.timeout ?? 0;
  // Unread request bytes would turn our close into a reset, which overtakes what we have sent.
  req.resume();
  // From here on progress is judged by what the client takes, not by the idle timer.
  socket.setTimeout(0);
  let handed = 0;
  const bytes = read.to - read.from;
  const sink = new ResponseSink(res, { stallMs: options.stallMs, onMoved: () => read.moved(handed) });
  const watch = options.closeProves ? new CloseWatch(socket, () => sink.hasWritten(bytes)) : null;
  watch?.onOrderly(() => read.closing());
  read.onCut(() => res.destroy());
  let ending: ReadEnding = 'broken';
  try {
    const pieces = read.body[Symbol.asyncIterator]();
    let next = await pieces.next();
    if (watch !== null) res.setHeader('connection', 'close');
    res.writeHead(options.status, options.headers);
    while (!next.done && (await sink.write(next.value))) {
      handed += next.value.length;
      read.moved(handed);
      next = await pieces.next();
    }
    if (!next.done) await pieces.return?.(undefined);
    if (next.done && handed === bytes && (await sink.end())) {
      ending = watch === null ? 'unproven' : await watch.verdict(options);
    }
  } catch (error) {
    if (res.headersSent) res.destroy();
    throw error;
  } finally {
    await read.end(ending, handed).finally(() => {
      if (ending === 'broken' && res.headersSent) res.destroy();
      watch?.release();
      if (!socket.destroyed) socket.setTimeout(idleTimeoutMs);
    });
  }
}

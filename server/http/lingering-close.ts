import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * How long, and how many bytes, a client may go on sending after it was refused. Small devices read the answer only
 * when they have sent everything, some of them slowly: as long as bytes come they are taken, within bounds.
 */
const QUIET_MS = 2_000;
const LINGER_MS = 30_000;
const LINGER_BYTES_MAX = 16 * 1_048_576;

/**
 * Lets an answer reach a client that is still sending. Closing a socket with unread bytes makes the kernel reset it,
 * and the reset overtakes the answer; so after the answer we half-close, read a little more, and only then let go.
 */
export function lingerAfterAnswer(req: IncomingMessage, res: ServerResponse): void {
  const socket = req.socket;
  res.setHeader('connection', 'close');
  (socket as Socket & { destroySoon(): void }).destroySoon = () => {
    let read = 0;
    const destroy = () => socket.destroy();
    const quiet = setTimeout(destroy, QUIET_MS);
    const limit = setTimeout(destroy, LINGER_MS);
    for (const timer of [quiet, limit]) timer.unref();
    socket.once('close', () => {
      clearTimeout(quiet);
      clearTimeout(limit);
    });
    req.on('data', (chunk: Buffer) => {
      read += chunk.length;
      quiet.refresh();
      if (read > LINGER_BYTES_MAX) destroy();
    });
    socket.once('end', destroy);
    req.resume();
    socket.end();
  };
}

/** Whether the request announced a body that has not been read to its end. */
export function hasUnreadBody(req: IncomingMessage): boolean {
  const announced = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  return announced && !req.readableEnded;
}

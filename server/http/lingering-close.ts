import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long, and how many bytes, a client may go on sending after it was refused. */
const LINGER_MS = 2_000;
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
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    timer.unref();
    socket.once('close', () => clearTimeout(timer));
    req.on('data', (chunk: Buffer) => {
      read += chunk.length;
      if (read > LINGER_BYTES_MAX) socket.destroy();
    });
    req.once('end', () => socket.end());
    socket.once('end', () => socket.destroy());
    req.resume();
    socket.end();
  };
}

/** Whether the request announced a body that has not been read to its end. */
export function hasUnreadBody(req: IncomingMessage): boolean {
  const announced = req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
  return announced && !req.readableEnded;
}

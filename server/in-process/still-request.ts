import type { IncomingMessage } from 'node:http';
import type { RelayRequest } from './relay.ts';

type Listener = (chunk?: Buffer) => void;

/**
 * A request whose body is all there: as much of Node's as the routes touch. The body comes in a microtask after it is
 * listened for, so that nothing waits for an event loop.
 */
export function stillRequest({ method, path, headers, body }: RelayRequest): Partial<IncomingMessage> {
  const listeners = new Map<string, Listener>();
  let given = false;
  const give = () => {
    if (given) return;
    given = true;
    if (body !== null) listeners.get('data')?.(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    listeners.get('end')?.();
  };
  const request = {
    method,
    url: path,
    headers: body === null ? headers : { ...headers, 'content-length': String(body.byteLength) },
    complete: true,
    readableEnded: false,
    destroyed: false,
    errored: null,
    socket: { remoteAddress: 'in-process' },
    on(name: string, listener: Listener) {
      listeners.set(name, listener);
      if (name === 'end') void Promise.resolve().then(give);
      return request;
    },
    off(name: string) {
      listeners.delete(name);
      return request;
    },
    isPaused: () => false,
    pause: () => request,
    resume: () => request,
  };
  return request as unknown as Partial<IncomingMessage>;
}

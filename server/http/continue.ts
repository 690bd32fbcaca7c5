import type { IncomingMessage } from 'node:http';
import type { RequestContext } from './route.ts';

/** How long a request may wait for a place before it is told to come again. */
const PATIENCE_MS = 5_000;

/** Requests that wait for `100 Continue`. */
export const EXPECTS_CONTINUE = new WeakSet<IncomingMessage>();

/** What an upload's use case tells the client, and asks about it, before it reads the body. */
export interface Admitting {
  /** Says `100 Continue` to a client that asked for it, once; to no other, because small clients take it as final. */
  admitted(): void;
  /** Resolves when the client has waited long enough for a place, or is gone. */
  patience(): Promise<void>;
}

export function admitting({ req, res }: Pick<RequestContext, 'req' | 'res'>): Admitting {
  return {
    admitted() {
      if (!EXPECTS_CONTINUE.has(req)) return;
      EXPECTS_CONTINUE.delete(req);
      res.writeContinue();
    },
    patience: () =>
      new Promise((resolve) => {
        const over = () => {
          clearTimeout(timer);
          res.off('close', over);
          resolve();
        };
        const timer = setTimeout(over, PATIENCE_MS);
        res.once('close', over);
      }),
  };
}

import type { IncomingMessage } from 'node:http';
import type { RequestContext } from './route.ts';

/** Requests that wait for `100 Continue`. */
export const EXPECTS_CONTINUE = new WeakSet<IncomingMessage>();

/** Says `100 Continue` to a client that asked for it, once; to no other, because small clients take it as final. */
export function continueOnce({ req, res }: Pick<RequestContext, 'req' | 'res'>): () => void {
  return () => {
    if (!EXPECTS_CONTINUE.has(req)) return;
    EXPECTS_CONTINUE.delete(req);
    res.writeContinue();
  };
}

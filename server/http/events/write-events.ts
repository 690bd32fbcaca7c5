import type { ServerResponse } from 'node:http';
import { EVENT_CLOSED, EVENT_RESET, EVENTS_HEARTBEAT_SECONDS, EVENTS_RETRY_MS } from '#sdk/protocol';
import type { EventStep } from '../../usecases/events/account-events.ts';
import type { Listening } from '../../usecases/events/event-hub.ts';
import type { RequestContext } from '../route.ts';

/** So that a buffering proxy (nginx) lets each event through by itself. */
const HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' };

/**
 * Writes the steps as server-sent events until they end or the listener is gone. A step is asked for only when the one before
 * has left for the network, so a listener that reads slowly costs one socket buffer; one that does not read at all
 * is closed by the connection's idle limit. Throws, before anything is written, what the first step throws.
 */
export async function writeEvents(
  { res, http }: RequestContext,
  steps: AsyncGenerator<EventStep, void, void>,
  listening: Listening,
): Promise<void> {
  const { leave, nudge } = listening;
  res.once('close', leave);
  // Silence beyond the idle limit would close the connection under a listener that is well.
  const beatMs = Math.min(EVENTS_HEARTBEAT_SECONDS * 1000, http.idleTimeoutMs / 2);
  const beating = setInterval(nudge, beatMs).unref();
  try {
    let step = await steps.next();
    res.writeHead(200, HEADERS);
    res.write(`retry: ${EVENTS_RETRY_MS}\n`);
    for (; !step.done && !res.destroyed; step = await steps.next()) {
      if (!res.write(textOf(step.value))) await drained(res);
    }
    res.end();
  } finally {
    clearInterval(beating);
    leave();
    await steps.return();
  }
}

function textOf(step: EventStep): string {
  switch (step.kind) {
    case 'event':
      return `id: ${step.seq}\ndata: ${JSON.stringify(step.entry)}\n\n`;
    // Without data it is no event, but whoever reads it goes on from here after a broken connection.
    case 'place':
      return `: ${step.seq}\nid: ${step.seq}\n\n`;
    case 'reset':
      return `event: ${EVENT_RESET}\ndata: ${JSON.stringify({ seq: step.seq })}\n\nid: ${step.seq}\n\n`;
    case 'closed': {
      const { code, message } = step.error;
      return `event: ${EVENT_CLOSED}\ndata: ${JSON.stringify({ code, detail: message })}\n\n`;
    }
  }
}

/** Resolves when more may be written, or nothing more can. */
function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      res.off('drain', done);
      res.off('close', done);
      resolve();
    };
    res.once('drain', done);
    res.once('close', done);
    if (res.destroyed) done();
  });
}

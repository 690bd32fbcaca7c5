import { quoted } from '../../domain/upload/upload-options.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { accountEvents, type EventsWanted, listenToEvents } from '../../usecases/events/account-events.ts';
import { oneHeader } from '../body/header-text.ts';
import { writeEvents } from '../events/write-events.ts';
import { knownQuery } from '../query.ts';
import type { RequestContext, RouteDef } from '../route.ts';

/** Longest filter: actions and subjects are shorter. */
const FILTER_CHARS_MAX = 200;

const text = { type: 'string' };

export const getEvents: RouteDef = {
  method: 'GET',
  path: '/v1/events',
  auth: 'key',
  body: 'none',
  operation: {
    operationId: 'listenToEvents',
    summary: 'What happens in the account, as it happens: server-sent events, one for each entry of the audit',
    description:
      "Each event is an AuditEntry; its id is the entry's seq. Without a place the stream begins now. `event: reset` says that the place asked for is not in the chain; `event: closed` that the credential or role no longer holds. A line with an id alone tells how far the stream has come.",
    parameters: [
      {
        name: 'after',
        in: 'query',
        description: 'Tell what came behind this seq first',
        schema: { type: 'integer', minimum: 0 },
      },
      { name: 'Last-Event-ID', in: 'header', description: 'As `after`, and before it', schema: text },
      { name: 'action', in: 'query', description: 'Only actions that begin so, e.g. transfer.', schema: text },
      { name: 'subject', in: 'query', description: 'Only what concerns this id', schema: text },
    ],
    responses: {
      '200': {
        description: 'Events, without end',
        content: { 'text/event-stream': { schema: text } },
      },
    },
    errors: ['invalid_field', 'role_insufficient', 'event_streams_exceeded', 'event_streams_full', 'shutting_down'],
  },
  async handle(context) {
    const { deps, caller, query } = context;
    knownQuery(query, ['after', 'action', 'subject']);
    const wanted: EventsWanted = {
      after: placeOf(context),
      action: filterOf(query, 'action'),
      subject: filterOf(query, 'subject'),
    };
    const listening = listenToEvents(deps, caller);
    await writeEvents(context, accountEvents(deps, caller, listening, wanted), listening);
    return null;
  },
};

/** Where the listener wants to go on. What a browser remembered is never refused: it would not come back. */
function placeOf({ req, query }: RequestContext): EventsWanted['after'] {
  const remembered = oneHeader(req.headers['last-event-id']);
  const said = query.get('after');
  if (remembered !== undefined && remembered !== '') return wholeOf(remembered) ?? 'unknown';
  if (said === null) return null;
  const seq = wholeOf(said);
  if (seq !== null) return seq;
  const detail = `expected the seq of an entry, or 0 for all, got ${quoted(said)}`;
  throw new FuselinkError('invalid_field', `after: ${detail}.`, { errors: [{ field: 'after', detail }] });
}

function wholeOf(said: string): number | null {
  return /^\d{1,15}$/.test(said) ? Number(said) : null;
}

function filterOf(query: URLSearchParams, name: string): string | null {
  const said = query.get(name);
  if (said === null || (said !== '' && said.length <= FILTER_CHARS_MAX)) return said;
  const detail = `expected 1 to ${FILTER_CHARS_MAX} characters, got ${said.length}`;
  throw new FuselinkError('invalid_field', `${name}: ${detail}.`, { errors: [{ field: name, detail }] });
}

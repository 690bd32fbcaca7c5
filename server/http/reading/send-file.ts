import { readLink } from '../../usecases/read/read-link.ts';
import { oneHeader } from '../body/header-text.ts';
import type { RequestContext } from '../route.ts';
import { deliver } from './deliver.ts';
import { entityTag, fileHeaders, rangeHeaders, type WantedRange, wantedRange } from './link-headers.ts';

const PROXY_HEADERS = ['via', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-real-ip', 'cf-connecting-ip'];

/**
 * Sends a link's bytes: for a plain GET (`claim: null`), where the client's orderly close burns the file, or under an
 * explicit claim, where only its ack does.
 */
export async function sendFile(
  context: RequestContext,
  request: { claim: string | null; deliberate?: boolean },
): Promise<null> {
  const { deps, req, res, http } = context;
  let wanted: WantedRange = { from: 0, to: 0, partial: false, openEnded: true };
  const read = await readLink(deps, context.params.token ?? '', {
    claim: request.claim,
    readerTag: `${context.from} ${oneHeader(req.headers['user-agent']) ?? ''}`,
    from: context.from,
    deliberate: request.deliberate === true,
    range(row) {
      wanted = wantedRange(req, row.size ?? 0, entityTag(row));
      return wanted;
    },
  });
  const { status, headers } = rangeHeaders(wanted, read.row.size ?? 0);
  await deliver(req, res, read, {
    status,
    headers: { ...fileHeaders(read), ...headers },
    closeProves: request.claim === null && !deps.settings.behindProxy && !cameThroughProxy(req),
    lingerMs: http.lingerMs,
    stallMs: read.row.lease_seconds * 1000,
  });
  return null;
}

/**
 * Whether the request itself says that a proxy passed it on: then the connection is the proxy's, and so is its close.
 * Operators forget FUSELINK_TRUST_PROXY, and readers have proxies of their own.
 */
function cameThroughProxy({ headers }: RequestContext['req']): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined);
}

import { utf8 } from '../../domain/base64url.ts';
import { FuselinkError } from '../../usecases/error.ts';
import type { RequestContext, RouteDef } from '../route.ts';

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;
const FORWARDED = ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip'];

export const getMetrics: RouteDef = {
  method: 'GET',
  path: '/metrics',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'metrics',
    summary: 'What this node has counted, for Prometheus',
    description:
      'To the machine itself; to others with `Authorization: Bearer` and the token of FUSELINK_METRICS_TOKEN. Everybody else is told that there is nothing here.',
    responses: {
      '200': { description: 'Text format 0.0.4', content: { 'text/plain': { schema: { type: 'string' } } } },
    },
    errors: ['not_found'],
  },
  async handle(context) {
    if (!mayLook(context)) throw new FuselinkError('not_found', 'There is nothing at this address.');
    const { metrics, active, events } = context.deps;
    let waiting = 0;
    for (const subject of active.subjects()) waiting += subject.waiting;
    metrics.set('fuselink_uploads_under_way', active.total);
    metrics.set('fuselink_uploads_waiting', waiting);
    metrics.set('fuselink_event_streams', events.streams);
    metrics.set('fuselink_build_info', 1, { version: context.http.version });
    metrics.set('process_resident_memory_bytes', process.memoryUsage.rss());
    metrics.set('process_uptime_seconds', Math.round(process.uptime()));
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: metrics.text() };
  },
};

/** Volumes and times are the operator's: with a token whoever has it, without one whoever is on this machine. */
function mayLook({ deps, http, req, from }: RequestContext): boolean {
  const { metricsToken = null } = http;
  if (metricsToken === null) {
    const direct = !FORWARDED.some((name) => req.headers[name] !== undefined);
    return direct && LOOPBACK.test(from);
  }
  const said = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1] ?? '';
  return deps.crypto.equal(deps.crypto.sha256(utf8(said)), deps.crypto.sha256(utf8(metricsToken)));
}

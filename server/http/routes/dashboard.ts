import { FuselinkError } from '../../usecases/error.ts';
import { oneHeader } from '../body/header-text.ts';
import { encodedFor } from '../dashboard/files.ts';
import { dashboardPage, notBuiltPage } from '../dashboard/page.ts';
import type { RouteDef } from '../route.ts';

const A_YEAR_SECONDS = 31_536_000;
const HTML = { 'text/html': { schema: { type: 'string' } } };

/** Pages are addresses of their own, so that they can be noted down and opened again; all are one document. */
function pageRoute(path: string, operationId: string): RouteDef {
  const depth = path.split('/').length - 2;
  return {
    method: 'GET',
    path,
    auth: 'none',
    body: 'none',
    operation: {
      operationId,
      summary: 'The dashboard, for browsers',
      responses: {
        '200': { description: 'A page; it asks for a sign-in by itself', content: HTML },
        '503': { description: 'The dashboard was not built', content: HTML },
      },
    },
    async handle({ http }) {
      return http.dashboard == null ? notBuiltPage() : dashboardPage(http.dashboard, depth);
    },
  };
}

const getTop: RouteDef = {
  method: 'GET',
  path: '/',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'getTop',
    summary: 'A browser is sent on to the dashboard',
    responses: { '303': { description: 'To the dashboard' } },
    errors: ['not_found'],
  },
  async handle({ req }) {
    if (!(oneHeader(req.headers.accept) ?? '').includes('text/html')) {
      throw new FuselinkError('not_found', 'There is nothing at this address. See /openapi.json for what is.');
    }
    return { status: 303, headers: { location: 'dashboard' } };
  },
};

const getAsset: RouteDef = {
  method: 'GET',
  path: '/dashboard/assets/:name',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'getDashboardAsset',
    summary: "Scripts and stylesheet of the dashboard; a name has its content's digest in it",
    responses: { '200': { description: 'The file' } },
    errors: ['not_found'],
  },
  async handle({ http, params, req, res }) {
    const file = http.dashboard?.files.get(params['name'] ?? '');
    if (file === undefined) throw new FuselinkError('not_found', 'There is no such file.');
    const { bytes, encoding } = encodedFor(file, oneHeader(req.headers['accept-encoding']));
    res.writeHead(200, {
      'content-type': file.type,
      'content-length': bytes.length,
      'cache-control': `public, max-age=${A_YEAR_SECONDS}, immutable`,
      vary: 'Accept-Encoding',
      ...(encoding === null ? {} : { 'content-encoding': encoding }),
    });
    res.end(bytes);
    return null;
  },
};

export const DASHBOARD_ROUTES: readonly RouteDef[] = [
  getTop,
  pageRoute('/dashboard', 'getDashboard'),
  getAsset,
  pageRoute('/dashboard/:page', 'getDashboardPage'),
  pageRoute('/dashboard/:page/:id', 'getDashboardThing'),
];

import { PAGE_HEADERS, pagePolicy } from '../pages/layout.ts';
import type { Answer } from '../route.ts';
import type { DashboardFiles } from './files.ts';

/** The one document of the dashboard. `depth`: how many folders the asked address lies below the server's top. */
export function dashboardPage(files: DashboardFiles, depth: number): Answer {
  const top = depth === 0 ? './' : '../'.repeat(depth);
  const asset = (name: string) => `${top}dashboard/assets/${name}`;
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    headers: { ...PAGE_HEADERS, 'content-security-policy': pagePolicy({ form: "'none'" }) },
    text: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>Fuselink</title>
<link rel="stylesheet" href="${asset(files.style)}"><script type="module" src="${asset(files.script)}"></script></head>
<body><div id="app" data-top="${top}"><noscript>The dashboard needs JavaScript. Everything it does is also done by <code>fuselink-server</code> on the server, and by the API at <code>/openapi.json</code>.</noscript></div></body></html>
`,
  };
}

/** Where the dashboard was not built. */
export function notBuiltPage(): Answer {
  return {
    status: 503,
    type: 'text/html; charset=utf-8',
    headers: { ...PAGE_HEADERS, 'content-security-policy': pagePolicy({ form: "'none'" }) },
    text: '<!doctype html><html lang="en"><meta charset="utf-8"><title>Fuselink</title><h1>The dashboard is not built</h1><p>Run <code>npm run build</code> and start the server again.</p></html>\n',
  };
}

import { readerKind } from '../../domain/reading/reader-kind.ts';
import { FuselinkError } from '../../usecases/error.ts';
import { inspectLink } from '../../usecases/read/inspect-link.ts';
import { oneHeader } from '../body/header-text.ts';
import { linkPage, refusedPage } from '../pages/link-page.ts';
import { problemAnswer } from '../problem.ts';
import { fileHeaders } from '../reading/link-headers.ts';
import { sendFile } from '../reading/send-file.ts';
import type { Answer, RequestContext, RouteDef } from '../route.ts';

const LINK_ERRORS = [
  'link_unknown',
  'link_expired',
  'link_burned',
  'link_revoked',
  'transfer_uploading',
  'transfer_leased',
  'transfer_held',
  'claim_required',
  'range_not_satisfiable',
  'storage_unavailable',
];
const FILE = {
  description: 'The file',
  content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
};

export const headLink: RouteDef = {
  method: 'HEAD',
  path: '/get/:token',
  auth: 'link',
  body: 'none',
  operation: {
    operationId: 'inspectLink',
    summary: 'Size, name and digest of the file; changes nothing',
    responses: { '200': { description: 'The file can be read' } },
    errors: LINK_ERRORS,
  },
  async handle({ deps, params }) {
    const link = await inspectLink(deps, params.token ?? '');
    return {
      status: 200,
      headers: {
        ...fileHeaders(link),
        'content-length': link.row.size ?? 0,
        expires: new Date(link.row.expires_at_ms).toUTCString(),
      },
    };
  },
};

export const getLink: RouteDef = {
  method: 'GET',
  path: '/get/:token',
  auth: 'link',
  body: 'none',
  operation: {
    operationId: 'readLink',
    summary: 'Read the file once (download tools), or a page about it (browsers and link previews)',
    description:
      'A download tool gets the bytes under an implicit claim; the file is burned when the client has closed the connection in order behind the last byte. Range continues a broken read.',
    parameters: [
      { name: 'Range', in: 'header', schema: { type: 'string' } },
      { name: 'If-Range', in: 'header', schema: { type: 'string' } },
    ],
    responses: { '200': FILE, '206': FILE },
    errors: LINK_ERRORS,
  },
  handle: (context) => (wantsPage(context) ? page(context) : sendFile(context, { claim: null })),
};

function wantsPage({ req: { headers } }: RequestContext): boolean {
  const purpose = headers.purpose ?? headers['x-purpose'] ?? headers['sec-purpose'] ?? headers['x-moz'];
  return (
    readerKind({ userAgent: headers['user-agent'], accept: headers.accept, purpose: oneHeader(purpose) }) === 'page'
  );
}

async function page(context: RequestContext): Promise<Answer> {
  try {
    const token = context.params.token ?? '';
    return linkPage(await inspectLink(context.deps, token), token);
  } catch (error) {
    if (!(error instanceof FuselinkError)) throw error;
    const problem = problemAnswer(error);
    return {
      ...refusedPage(error, problem.status),
      headers: { ...refusedPage(error, problem.status).headers, ...problem.headers },
    };
  }
}

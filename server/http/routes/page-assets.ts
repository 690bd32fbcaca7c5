import { FuselinkError } from '../../usecases/error.ts';
import { assetVersion, pageAsset } from '../pages/layout.ts';
import type { RouteDef } from '../route.ts';

const A_YEAR_SECONDS = 31_536_000;

export const getPageAsset: RouteDef = {
  method: 'GET',
  path: '/page/:name',
  auth: 'none',
  body: 'none',
  operation: {
    operationId: 'getPageAsset',
    summary: 'Script and stylesheet of the page a recipient meets',
    parameters: [{ name: 'v', in: 'query', schema: { type: 'string' } }],
    responses: { '200': { description: 'The file' } },
    errors: ['not_found'],
  },
  async handle({ params, query }) {
    const name = params.name ?? '';
    const asset = pageAsset(name);
    if (asset === undefined) throw new FuselinkError('not_found', 'There is no such file.');
    // Only the address that names this very version may be kept: an older page would else meet a newer script.
    const kept = query.get('v') === assetVersion(name);
    return {
      status: 200,
      type: asset.type,
      text: asset.text,
      headers: { 'cache-control': kept ? `public, max-age=${A_YEAR_SECONDS}, immutable` : 'no-cache' },
    };
  },
};

import { FuselinkError } from '../../usecases/error.ts';
import { readJson } from '../body/request-body.ts';
import type { RequestContext } from '../route.ts';

/**
 * The fields of a JSON body by their lower-case names: other systems' clients write `username`, `Username` and
 * `userName` alike. Fields nobody asked for are let be, as those systems do.
 */
export async function caselessBody(req: RequestContext['req']): Promise<Map<string, unknown>> {
  const body = await readJson(req);
  return new Map(Object.entries(body).map(([name, value]) => [name.toLowerCase(), value]));
}

/** A field that must be a text; throws `invalid_field`. */
export function textField(body: Map<string, unknown>, name: string): string {
  const value = body.get(name.toLowerCase());
  if (typeof value === 'string' && value !== '') return value;
  const got = value === undefined || value === null ? 'none' : value === '' ? 'an empty one' : `a ${typeof value}`;
  const detail = `expected a text, got ${got}`;
  throw new FuselinkError('invalid_field', `${name}: ${detail}.`, { errors: [{ field: name, detail }] });
}

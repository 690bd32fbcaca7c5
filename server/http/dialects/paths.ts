/** Every path whose case other systems ignore, with `:name` for parameters. A test compares it with the route list. */
export const CASELESS_PATHS: readonly string[] = [
  '/api/auth/login',
  '/api/auth/2fa/verify',
  '/api/account',
  '/api/account/apikeys',
  '/api/account/apikeys/:id',
  '/api/property',
  '/api/property/:id/purge',
];

/**
 * The URL with a caseless path in the case its route is written in, everything else untouched: parameters keep theirs,
 * and paths that are ours stay case-sensitive.
 */
export function dialectUrl(url: string): string {
  if (!/^\/api\//i.test(url)) return url;
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const got = path.replace(/\/+$/, '').split('/');
  for (const pattern of CASELESS_PATHS) {
    const wanted = pattern.split('/');
    const fits =
      wanted.length === got.length &&
      wanted.every((part, i) => part.startsWith(':') || part === (got[i] ?? '').toLowerCase());
    if (!fits) continue;
    const rewritten = wanted.map((part, i) => (part.startsWith(':') ? (got[i] ?? '') : part)).join('/');
    return mark < 0 ? rewritten : rewritten + url.slice(mark);
  }
  return url;
}

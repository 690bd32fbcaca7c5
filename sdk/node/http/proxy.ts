import { optionInvalid } from '../errors.ts';

export interface ProxyTarget {
  host: string;
  port: number;
  /** `Basic …` for Proxy-Authorization, or null. */
  authorization: string | null;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || host.startsWith('127.');
}

/** Whether `NO_PROXY` (comma-separated hosts, `.suffix`, `host:port`, `*`) names this URL. */
export function bypassesProxy(url: URL, noProxy: string): boolean {
  const host = url.hostname.toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [name = '', onlyPort] = entry.startsWith('[') ? [entry] : entry.split(':');
      if (onlyPort !== undefined && onlyPort !== port) return false;
      const suffix = name.replace(/^\*?\./, '');
      return host === suffix || host.endsWith(`.${suffix}`);
    });
}

/** A proxy URL taken apart. Throws `option_invalid`; the message leaves user and password out. */
export function parseProxy(text: string): ProxyTarget {
  let url: URL;
  try {
    url = new URL(text.includes('://') ? text : `http://${text}`);
  } catch {
    throw optionInvalid('the proxy is expected as http://[user:password@]host:port');
  }
  if (url.protocol !== 'http:') {
    throw optionInvalid(`the proxy is expected to be reached by http, got ${url.protocol}//`);
  }
  const user = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    authorization: user === '' ? null : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  };
}

/**
 * The proxy for `url`: the option where given (`null` forbids any), else what the environment says, lower-case
 * names first as curl does. The environment's proxy is never used for loopback.
 */
export function proxyFor(url: URL, option: string | null | undefined, env: NodeJS.ProcessEnv): ProxyTarget | null {
  if (option === null) return null;
  if (option !== undefined) return parseProxy(option);
  if (isLoopback(url.hostname)) return null;
  const secure = url.protocol === 'https:';
  // Upper-case HTTP_PROXY is not read: a CGI program would take it from a request's `Proxy:` header.
  const found = secure ? env['https_proxy'] || env['HTTPS_PROXY'] : env['http_proxy'];
  const text = found || env['all_proxy'] || env['ALL_PROXY'];
  if (!text || bypassesProxy(url, env['no_proxy'] ?? env['NO_PROXY'] ?? '')) return null;
  return parseProxy(text);
}

import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import type { ProxyTarget } from './proxy.ts';

export interface TlsOptions {
  /** PEM certificates trusted beside the system's. */
  ca?: string | readonly string[] | undefined;
  /** Client certificate and key, PEM. */
  cert?: string | undefined;
  key?: string | undefined;
}

/** Idle sockets are kept for this long; servers close theirs after 5 s by default, so leave before them. */
const KEEP_ALIVE_MS = 4000;

export interface Agents {
  /** Begins a request by http or https, as its URL says. */
  request(url: URL, options: http.RequestOptions): http.ClientRequest;
  agentFor(url: URL, proxy: ProxyTarget | null): http.Agent | Promise<http.Agent>;
  close(): void;
}

/** The sockets of one client: TLS 1.2 and later, kept alive, one pool per proxy. */
export function createAgents(options: TlsOptions): Agents {
  const extra = [options.ca ?? []].flat();
  const alive = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS };
  const trust: tls.SecureContextOptions = { minVersion: 'TLSv1.2', cert: options.cert, key: options.key };
  if (extra.length > 0) trust.ca = [...tls.rootCertificates, ...extra];
  let secure: https.AgentOptions | null = null;
  /** Certificates are read once: a connection that is given none of them reads all hundred and fifty again, and keeps them. */
  const secureOptions = (): https.AgentOptions => {
    secure ??= { ...alive, secureContext: tls.createSecureContext(trust) };
    return secure;
  };
  const plainAgent = new http.Agent(alive);
  let secureAgent: https.Agent | null = null;
  const tunnels = new Map<string, http.Agent>();
  async function tunnelBy(proxy: ProxyTarget): Promise<http.Agent> {
    const { tunnelAgent } = await import('./tunnel.ts');
    const name = `${proxy.host}:${proxy.port}:${proxy.authorization ?? ''}`;
    const tunnel = tunnels.get(name) ?? tunnelAgent(proxy, secureOptions());
    tunnels.set(name, tunnel);
    return tunnel;
  }
  return {
    request: (url, target) => (url.protocol === 'https:' ? https : http).request(target),
    agentFor(url, proxy) {
      if (url.protocol !== 'https:') return plainAgent;
      if (proxy !== null) return tunnelBy(proxy);
      secureAgent ??= new https.Agent(secureOptions());
      return secureAgent;
    },
    close() {
      for (const agent of [plainAgent, secureAgent, ...tunnels.values()]) agent?.destroy();
    },
  };
}

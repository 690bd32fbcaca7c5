import type { RelayRequest } from '#server';
import type { Transport } from '../../sdk/node/http/transport.ts';
import type { VirtualServer } from './node.ts';

/** A device's requests, taken to the relay in this process with nothing in between. */
export function directTransport(server: VirtualServer): Transport {
  return {
    async exchange({ method, url, headers, body }) {
      const answer = await server.call({
        method: method as RelayRequest['method'],
        path: url.pathname + url.search,
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
        body: body instanceof Uint8Array ? body : null,
      });
      if (answer === null) throw new Error('no answer came');
      return { ...answer, body: Buffer.from(JSON.stringify(answer.json)) };
    },
    open: () => Promise.reject(new Error('expected no reading in these tests')),
    close: () => {},
  };
}

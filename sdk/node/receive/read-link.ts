import type { ReceiveOptions, ReceiveResult } from '../api.ts';
import type { Transport } from '../http/transport.ts';
import type { SealingContext } from '../seal/client-sealing.ts';
import { fragmentOf } from './link.ts';
import { receiveLink } from './receive.ts';

export interface LinkReader {
  transport: Transport;
  stateFolder: string | null;
  /** What sealing needs of a client; null without one. */
  sealing: SealingContext | null;
  /** The client is being closed. */
  closing?: AbortSignal;
}

/** Read a link, and open what is sealed where there is a key: behind the link's `#`, or among the caller's own. */
export async function readLink(reader: LinkReader, url: string, options: ReceiveOptions): Promise<ReceiveResult> {
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  const watched = [reader.closing, options.signal].filter((signal) => signal !== undefined);
  for (const signal of watched) signal.addEventListener('abort', onAbort);
  if (watched.some(({ aborted }) => aborted)) onAbort();
  try {
    const { transport, stateFolder } = reader;
    const settings = { ...options, stateFolder, signal: stop.signal };
    const fragment = fragmentOf(url);
    if (fragment === null && options.unseal === undefined) return await receiveLink(transport, url, settings);
    const { unsealingFor } = await import('../seal/client-sealing.ts');
    const context = options.unseal === undefined ? null : reader.sealing;
    const given = { unseal: options.unseal ?? {}, signal: stop.signal, context };
    return await receiveLink(transport, url, { ...settings, unsealing: await unsealingFor(fragment, given) });
  } finally {
    for (const signal of watched) signal.removeEventListener('abort', onAbort);
  }
}

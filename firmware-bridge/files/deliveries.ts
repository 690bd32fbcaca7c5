import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  acknowledge,
  claimLink,
  FuselinkError,
  openContent,
  parseLink,
  type Transport,
  writeFileAtomic,
} from '#sdk/node';
import type { Relay } from '../relay/relay.ts';
import { makeManifest } from './make-manifest.ts';
import type { Errand } from './outbox.ts';

export interface DeliveryOptions {
  folder: string;
  base: URL;
  transport: Transport;
  relay: Pick<Relay, 'refuseDelivery'>;
  block: number;
}

interface Kept {
  claim: string;
  name: string;
  type: string;
  sha256: string;
}

const TIMEOUT_MS = 30_000;

/**
 * A file that somebody sent to a device: read from its link, kept here until the device has it, and acknowledged only then.
 * So it is not burned by a gateway that never delivered it, and another one can take over when the lease has run out.
 */
export function deliveryErrand(
  delivery: { id: string; device: string; linkPath: string },
  options: DeliveryOptions,
): Errand {
  const { transport, relay, base, block } = options;
  const link = parseLink(new URL(delivery.linkPath, base).href);
  const folder = join(options.folder, delivery.id);
  const path = join(folder, 'data');
  const keptPath = join(folder, 'claim.json');

  async function kept(): Promise<Kept | null> {
    return readFile(keptPath, 'utf8').then(
      (text) => JSON.parse(text) as Kept,
      () => null,
    );
  }

  /** Claims and reads the whole of it; `keep` it, or only prove that it was served. */
  async function read(keep: boolean): Promise<Kept> {
    const signal = undefined;
    const { claim, filename, content_type, sha256 } = await claimLink(transport, link, signal);
    const { stream } = await openContent(transport, link, { claim, from: 0, etag: null, signal });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = keep ? await open(path, 'w', 0o600) : null;
    try {
      for await (const bytes of stream.bytes) await handle?.write(bytes);
      await handle?.datasync();
    } finally {
      await handle?.close();
    }
    const facts = { claim, name: filename, type: content_type, sha256 };
    await writeFileAtomic(keptPath, JSON.stringify(facts));
    return facts;
  }

  return {
    key: delivery.id,
    device: delivery.device,
    async bring() {
      const here = (await stat(path).catch(() => null)) === null ? null : await kept();
      const facts = here ?? (await read(true));
      // `n` makes two deliveries of one file two files; it is the same again after a restart.
      const made = await makeManifest(path, { name: facts.name, type: facts.type, block, n: delivery.id });
      if (made.manifest.sha256 !== facts.sha256) {
        await rm(folder, { recursive: true, force: true });
        throw new FuselinkError('digest_mismatch', 'what was read is not what the server announced');
      }
      return { ...made, path, signature: null };
    },
    async arrived() {
      const facts = await kept();
      if (facts === null) return;
      const { claim, sha256 } = facts;
      try {
        await acknowledge(transport, link, { claim, sha256, signal: AbortSignal.timeout(TIMEOUT_MS) });
      } catch (error) {
        // The lease ran out while the device was away: once more, to be allowed to say that it has arrived.
        if (!(error instanceof FuselinkError) || error.code !== 'claim_unknown') throw error;
        const again = await read(false);
        await acknowledge(transport, link, { claim: again.claim, sha256, signal: AbortSignal.timeout(TIMEOUT_MS) });
      }
    },
    refused: (reason) => relay.refuseDelivery(delivery.id, reason, TIMEOUT_MS),
    forget: () => rm(folder, { recursive: true, force: true }),
  };
}

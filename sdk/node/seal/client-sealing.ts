import type { SealOptions, SendOptions, SendSource, UnsealOptions } from '../api.ts';
import type { Transport } from '../http/transport.ts';
import type { OpenedSource } from '../send/open-source.ts';
import type { Directory } from './directory.ts';
import { createDirectory } from './directory.ts';
import { loadSeal } from './library.ts';
import { pinStore } from './pins.ts';
import { openSealed, SEALED_NAME } from './send-sealed.ts';
import { createUnsealing, type Unsealing } from './unsealing.ts';

/** What sealing needs of a client: its server, whose directory knows keys, and where met keys are remembered. */
export interface SealingContext {
  base: URL;
  transport: Transport;
  authorization(): Promise<string>;
  /** null: nothing is remembered. */
  stateFolder: string | null;
  warn(code: string, detail: string): void;
}

async function directoryOf({ stateFolder, ...context }: SealingContext): Promise<Directory> {
  const pins = stateFolder === null ? null : pinStore(stateFolder, context.base.href);
  return createDirectory({ ...context, seal: await loadSeal(), pins });
}

/** Takes what a caller gave as something to send sealed: its own name is inside, and the server sees another. */
export async function openSealedSend(
  from: SendSource,
  given: SendOptions & { seal: SealOptions },
  context: SealingContext,
  limits: { giveUpAfterMs: number | null; oneShotBytesMax: number },
): Promise<OpenedSource> {
  const seal = await loadSeal();
  const { source, name } = await openSealed(from, given, { ...limits, seal, directory: await directoryOf(context) });
  return { source, name: SEALED_NAME, file: null, sealed: { name, fragment: () => source.fragment() } };
}

/** What opens one read: the key behind the link's `#`, or the caller's own, with the signers a client knows by name. */
export async function unsealingFor(
  fragment: string | null,
  given: { unseal: UnsealOptions; signal: AbortSignal | undefined; context: SealingContext | null },
): Promise<Unsealing> {
  const directory = given.context === null ? null : await directoryOf(given.context);
  return createUnsealing(await loadSeal(), { fragment, options: given.unseal, directory, signal: given.signal });
}

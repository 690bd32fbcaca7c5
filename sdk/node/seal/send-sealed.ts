import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SealOptions, SendOptions, SendSource } from '../api.ts';
import { FuselinkError, optionInvalid } from '../errors.ts';
import { bufferSource } from '../send/buffer-source.ts';
import { sourceError } from '../send/file-source.ts';
import { streamSource } from '../send/stream-source.ts';
import type { Directory } from './directory.ts';
import { type SealLibrary, sealError } from './library.ts';
import { type SealedSource, sealedFileSource } from './sealed-file-source.ts';

/** What the server is told instead of the file's own name and type, which travel sealed. */
export const SEALED_NAME = 'sealed.bin';

export interface SealedSend {
  source: SealedSource;
  /** The file's own name, which only its readers learn. */
  name: string | null;
}

type SealRequest = Parameters<SealLibrary['openSealedSource']>[2];
type ByteStream = AsyncIterable<Uint8Array | string>;

/** Takes what a caller gave as something to seal and send: keys first, then the source. */
export async function openSealed(
  from: SendSource,
  given: SendOptions & { seal: SealOptions },
  context: { seal: SealLibrary; directory: Directory; giveUpAfterMs: number | null; oneShotBytesMax: number },
): Promise<SealedSend> {
  const { seal } = context;
  const [to, signer] = [await sealTo(given, context), await signerOf(seal, given.seal)];
  const path = typeof from === 'string' ? from : from instanceof URL ? fileURLToPath(from) : null;
  const name = given.filename ?? (path === null ? null : basename(path));
  const request: SealRequest = {
    to,
    name: name === null ? null : seal.portableFileName(name),
    mediaType: given.contentType ?? null,
    signer,
  };
  if (path === null) {
    const source = await sealedStreamSource(seal, from as Uint8Array | ByteStream, request, context.oneShotBytesMax);
    return { source, name };
  }
  const found = await stat(path).catch((error: unknown) => {
    throw sourceError(error, path);
  });
  if (found.isDirectory()) throw new FuselinkError('source_unreadable', `${path}: expected a file, got a folder`);
  if (!found.isFile()) {
    return { source: await sealedStreamSource(seal, createReadStream(path), request, context.oneShotBytesMax), name };
  }
  return { source: await sealedFileSource(seal, path, request), name };
}

async function sealTo(
  given: SendOptions & { seal: SealOptions },
  context: { seal: SealLibrary; directory: Directory; giveUpAfterMs: number | null },
): Promise<SealRequest['to']> {
  const { seal, directory } = context;
  const { to, acceptNewKeys = false } = given.seal;
  if (to === 'link') return { kind: 'link' };
  if (!Array.isArray(to) || to.length === 0) {
    throw optionInvalid("seal.to is expected as 'link' or a list of one recipient or more");
  }
  const recipients = [];
  for (const who of to as readonly string[]) {
    if (seal.keyTextKind(who) !== null) {
      recipients.push(attempt(seal, 'seal.to', () => seal.decodePublicKey(seal.nodeCrypto, 'recipient', who)));
    } else {
      const how = { acceptNewKey: acceptNewKeys, signal: given.signal, giveUpAfterMs: context.giveUpAfterMs };
      recipients.push(await directory.recipient(who, how));
    }
  }
  return { kind: 'recipients', recipients };
}

/** The signing key of the device's key file. Throws `key_malformed`, `key_missing`, `passphrase_wrong`. */
export async function signerOf(seal: SealLibrary, options: Pick<SealOptions, 'sign' | 'passphrase'>) {
  const path = options.sign;
  if (path === undefined) return null;
  const keys = await readKeys(seal, path, options.passphrase);
  const signer = keys.find((key) => key.purpose === 'signer');
  if (signer === undefined) throw new FuselinkError('key_missing', `${path}: expected a signing key, got another one`);
  return signer;
}

/** The private keys of a key file, with errors that name the file and nothing of its content. */
export async function readKeys(seal: SealLibrary, path: string, passphrase: (() => string) | undefined) {
  try {
    return await seal.readKeyFile(seal.nodeCrypto, path, passphrase ?? null);
  } catch (error) {
    throw sealError(seal, error, path);
  }
}

function attempt<T>(seal: SealLibrary, what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw sealError(seal, error, what);
  }
}

/** Bytes and streams are sealed as they are read, once: what is sent again is the very ciphertext that is held. */
async function sealedStreamSource(
  seal: SealLibrary,
  from: Uint8Array | ByteStream,
  request: SealRequest,
  oneShotBytesMax: number,
): Promise<SealedSource> {
  const bytes = from instanceof Uint8Array ? from : null;
  if (bytes === null && !(typeof from === 'object' && from !== null && Symbol.asyncIterator in from)) {
    throw new TypeError(`expected a path, bytes or a stream to send, got ${from === null ? 'null' : typeof from}`);
  }
  const effects = { crypto: seal.nodeCrypto, random: seal.nodeRandom };
  const sealer = attempt(seal, 'seal', () =>
    seal.createSealer(effects, { ...request, contentBytes: bytes?.byteLength ?? null }),
  );
  if (bytes !== null) {
    const sealed = bufferSource(Buffer.concat([...sealer.push(bytes), ...sealer.finish()]));
    return { ...sealed, fragment: () => sealer.fragment };
  }
  const source = await streamSource(seal.sealAll(sealer, asBytes(from as ByteStream)), oneShotBytesMax);
  return Object.assign(source, { fragment: () => sealer.fragment });
}

async function* asBytes(stream: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const piece of stream) yield typeof piece === 'string' ? Buffer.from(piece) : piece;
}

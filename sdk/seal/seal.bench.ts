/**
 * What sealing costs on this machine, each figure beside its baseline in the same run:
 *   npx tsx sdk/seal/seal.bench.ts [megabytes, default 256]
 * Rates are medians of five rounds that take turns, so that a slow moment hits everybody.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { createOpener, createSealer, generateKey, nobleCrypto, type SealCrypto, type SealRequest } from './index.ts';
import { nodeCrypto, nodeRandom } from './node.ts';

const MEGABYTES = Number(process.argv[2] ?? 256);
const PIECE = Buffer.from(randomBytes(1 << 20));
const CHUNK = 65_536;
const ROUNDS = 5;
const random = nodeRandom;

interface Contender {
  readonly name: string;
  readonly megabytes: number;
  readonly run: () => void;
  readonly rates: number[];
}

function contender(name: string, run: (megabytes: number) => void, megabytes = MEGABYTES): Contender {
  return { name, megabytes, run: () => run(megabytes), rates: [] };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** One cipher over everything: the ceiling, with no authentication before the end. */
function plainStream(megabytes: number): void {
  const cipher = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12));
  for (let at = 0; at < megabytes; at++) {
    for (let offset = 0; offset < PIECE.length; offset += CHUNK) cipher.update(PIECE.subarray(offset, offset + CHUNK));
  }
  cipher.final();
  cipher.getAuthTag();
}

const BARE_KEY = randomBytes(32);
const BARE_NONCE = Buffer.alloc(12);
const bareCipher = createCipheriv('aes-256-gcm', BARE_KEY, BARE_NONCE);
const BARE_SEALED = bareCipher.update(PIECE.subarray(0, CHUNK));
bareCipher.final();
const BARE_TAG = bareCipher.getAuthTag();

/** A cipher a chunk, as any format must that authenticates before it releases. */
function plainOpen(megabytes: number): void {
  for (let chunk = 0; chunk < megabytes * 16; chunk++) {
    const decipher = createDecipheriv('aes-256-gcm', BARE_KEY, BARE_NONCE);
    decipher.setAuthTag(BARE_TAG);
    decipher.update(BARE_SEALED);
    decipher.final();
  }
}

function seal(crypto: SealCrypto, request: SealRequest, megabytes: number, keep?: Uint8Array[]): string {
  const sealer = createSealer({ crypto, random }, request);
  for (let at = 0; at < megabytes; at++) {
    const sealed = sealer.push(PIECE);
    keep?.push(...sealed);
  }
  const end = sealer.finish();
  keep?.push(...end);
  return sealer.fragment ?? '';
}

const device = generateKey(nodeCrypto, random, 'ed25519');
const LINK: SealRequest = { to: { kind: 'link' } };

function sealedInput(request: SealRequest, megabytes: number) {
  const fixed = randomBytes(32);
  let first = true;
  const source = {
    bytes: (length: number) => {
      if (!first) return random.bytes(length);
      first = false;
      return new Uint8Array(fixed);
    },
  };
  const sealer = createSealer({ crypto: nodeCrypto, random: source }, request);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < megabytes; at++) pieces.push(Buffer.concat(sealer.push(PIECE)));
  pieces.push(Buffer.concat(sealer.finish()));
  return { pieces, contentKey: new Uint8Array(fixed) };
}

function open(crypto: SealCrypto, input: ReturnType<typeof sealedInput>): void {
  const opener = createOpener(crypto, { contentKey: input.contentKey });
  for (const piece of input.pieces) opener.push(piece);
  opener.finish();
}

const unsigned = sealedInput(LINK, MEGABYTES);
const signed = sealedInput({ ...LINK, signer: device }, MEGABYTES);
const small = sealedInput(LINK, 16);
const contenders = [
  contender('node:crypto AES-256-GCM alone, one stream', plainStream),
  contender('node:crypto AES-256-GCM alone, 64 KiB a cipher, opened', plainOpen),
  contender('seal, node:crypto', (size) => void seal(nodeCrypto, LINK, size)),
  contender('open, node:crypto', () => open(nodeCrypto, unsigned)),
  contender(
    'seal, node:crypto, signed (adds SHA-256)',
    (size) => void seal(nodeCrypto, { ...LINK, signer: device }, size),
  ),
  contender('open, node:crypto, signed (adds SHA-256)', () => open(nodeCrypto, signed)),
  contender('seal, noble', (size) => void seal(nobleCrypto, LINK, size), 16),
  contender('open, noble', () => open(nobleCrypto, small), 16),
];
for (let round = 0; round < ROUNDS; round++) {
  for (const each of contenders) {
    const start = performance.now();
    each.run();
    each.rates.push((each.megabytes * 1.048576) / ((performance.now() - start) / 1000));
  }
}
const ceiling = median(contenders[0]!.rates);
for (const each of contenders) {
  const rate = median(each.rates);
  console.log(`${each.name.padEnd(58)} ${rate.toFixed(0).padStart(6)} MB/s   ratio ${(rate / ceiling).toFixed(2)}`);
}

/** Milliseconds of one call, median of 30 after five to warm up. */
function milliseconds(run: () => void): string {
  const times: number[] = [];
  for (let at = 0; at < 35; at++) {
    const start = performance.now();
    run();
    if (at >= 5) times.push(performance.now() - start);
  }
  return `${median(times).toFixed(2).padStart(6)} ms`;
}

for (const crypto of [nodeCrypto, nobleCrypto]) {
  for (const algorithm of ['x-wing', 'ml-kem-768'] as const) {
    const key = generateKey(crypto, random, algorithm);
    const to = { kind: 'recipients', recipients: [key] } as const;
    const sealer = createSealer({ crypto, random }, { to });
    const sealed = Buffer.concat(sealer.finish());
    const made = milliseconds(() => void createSealer({ crypto, random }, { to }));
    const opened = milliseconds(() => void createOpener(crypto, { identities: [key] }).push(sealed));
    console.log(`${`${algorithm} handshake per recipient, ${crypto.name}`.padEnd(58)} seal ${made}   open ${opened}`);
  }
  for (const algorithm of ['ed25519', 'ml-dsa-65'] as const) {
    const signer = generateKey(crypto, random, algorithm);
    const whole = milliseconds(() => void seal(crypto, { ...LINK, signer }, 0));
    const without = milliseconds(() => void seal(crypto, LINK, 0));
    console.log(`${`${algorithm} empty file, ${crypto.name}`.padEnd(58)} signed ${whole}   unsigned ${without}`);
  }
}

for (const [name, entry, platform] of [
  ['index.ts for browsers', 'index.ts', 'browser'],
  ['node.ts', 'node.ts', 'node'],
] as const) {
  const built = await build({
    entryPoints: [new URL(entry, import.meta.url).pathname],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform,
    target: 'es2022',
  });
  const { contents } = built.outputFiles[0]!;
  const kilobytes = (contents.length / 1024).toFixed(1);
  const gzipped = (gzipSync(contents).length / 1024).toFixed(1);
  console.log(`${`bundle of ${name}`.padEnd(58)} ${kilobytes} KB minified   ${gzipped} KB gzipped`);
}

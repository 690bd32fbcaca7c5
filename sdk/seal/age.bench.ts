/**
 * Sealing beside `age` (Debian's package `age`), whole processes from a file to nowhere, in one run:
 *   npx tsx sdk/seal/age.bench.ts [megabytes, default 512]
 * Both seal to one recipient's public key in authenticated chunks of 64 KiB, and open without releasing what is not
 * authentic; age by X25519 and ChaCha20-Poly1305, this library by X-Wing and AES-256-GCM. Medians of five rounds that
 * take turns; `cat` says what reading the file alone takes.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSdk } from '../build.ts';

const MEGABYTES = Number(process.argv[2] ?? 512);
const ROUNDS = 5;

if (spawnSync('age', ['--version']).error !== undefined) {
  console.log('`age` is not installed (apt-get install age): there is nothing to compare with.');
  process.exit(0);
}

const folder = mkdtempSync(join(tmpdir(), 'fuselink-age-'));
const at = (name: string) => join(folder, name);
try {
  await buildSdk(at('dist'));
  writeContent(at('content'));
  const keys = execFileSync('age-keygen', { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  writeFileSync(at('age.key'), keys, { mode: 0o600 });
  const recipient = /public key: (\S+)/.exec(keys)?.[1] ?? '';
  writeFileSync(at('ours.mjs'), programText());
  run('age', ['-r', recipient, '-o', at('content.age'), at('content')]);
  run(process.execPath, [at('ours.mjs'), 'make']);
  const contenders: [string, () => void, number[]][] = [
    ['cat', () => run('cat', [at('content')]), []],
    ['age seals', () => run('age', ['-r', recipient, at('content')]), []],
    ['Fuselink seals', () => run(process.execPath, [at('ours.mjs'), 'seal']), []],
    ['age opens', () => run('age', ['-d', '-i', at('age.key'), at('content.age')]), []],
    ['Fuselink opens', () => run(process.execPath, [at('ours.mjs'), 'open']), []],
  ];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [, act, rates] of contenders) {
      const startedMs = performance.now();
      act();
      rates.push((MEGABYTES * 1.048576) / ((performance.now() - startedMs) / 1000));
    }
  }
  for (const [name, , rates] of contenders) {
    const rate = rates.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number;
    console.log(`${name.padEnd(16)} ${rate.toFixed(0).padStart(6)} MB/s`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(program: string, args: string[]): void {
  const { status } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
}

/** Bytes that no file system and no cipher finds easy. */
function writeContent(path: string): void {
  const keystream = createCipheriv('aes-256-ctr', Buffer.alloc(32, 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(1_048_576);
  const file = openSync(path, 'w');
  for (let n = 0; n < MEGABYTES; n++) writeSync(file, keystream.update(zeros));
  closeSync(file);
}

/** This library as a program: a file to standard output, which is nowhere. */
function programText(): string {
  return `
import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import * as seal from ${JSON.stringify(at('dist/sdk/seal/node.mjs'))};
const effects = { crypto: seal.nodeCrypto, random: seal.nodeRandom };
const [verb] = process.argv.slice(2);
const out = verb === 'make' ? createWriteStream(${JSON.stringify(at('content.sealed'))}) : process.stdout;
const write = (piece) => new Promise((resolve, reject) => out.write(piece, (error) => (error ? reject(error) : resolve())));
if (verb === 'make') {
  const key = seal.generateKey(seal.nodeCrypto, seal.nodeRandom, 'x-wing');
  writeFileSync(${JSON.stringify(at('ours.key'))}, seal.encodeSecretKey(seal.nodeCrypto, key));
}
const key = seal.decodeSecretKey(seal.nodeCrypto, 'recipient', readFileSync(${JSON.stringify(at('ours.key'))}, 'utf8'));
if (verb === 'open') {
  const opener = seal.createOpener(seal.nodeCrypto, { identities: [key] });
  for await (const piece of createReadStream(${JSON.stringify(at('content.sealed'))}, { highWaterMark: 1048576 }))
    for (const opened of opener.push(piece)) await write(opened);
  for (const opened of opener.finish().released) await write(opened);
} else {
  const to = { kind: 'recipients', recipients: [key] };
  const source = await seal.openSealedSource(effects, ${JSON.stringify(at('content'))}, { to, name: 'content' });
  for await (const piece of source.read()) await write(piece);
  await source.close();
}
if (out !== process.stdout) { out.end(); await once(out, 'finish'); }
`;
}

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  apiUrl,
  createTransport,
  credentialFolder,
  FuselinkError,
  loadSeal,
  parseServerUrl,
  problemOf,
  type SealLibrary,
  storedKey,
} from '#sdk/node';
import type { Command } from '../command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { EXIT, UsageError } from '../exit-codes.ts';
import type { Parsed } from '../options.ts';
import { CONNECTION_OPTIONS, connectionOf, givenKey, serverUrl, textOption } from '../options.ts';
import { newPassphrase, passphraseFor } from '../passphrase.ts';
import { keyFileOf } from '../seal-options.ts';
import type { Terminal } from '../terminal.ts';

type SecretKey = ReturnType<SealLibrary['generateKey']>;
type AlgorithmName = SecretKey['algorithm'];

const ALGORITHMS: { readonly [Purpose in 'recipient' | 'signer']: readonly AlgorithmName[] } = {
  recipient: ['x-wing', 'ml-kem-768'],
  signer: ['ed25519', 'ml-dsa-65'],
};

function algorithmOf(parsed: Parsed, purpose: 'recipient' | 'signer'): AlgorithmName {
  const known = ALGORITHMS[purpose];
  const given = textOption(parsed, 'algorithm') ?? known[0];
  const found = known.find((name) => name === given);
  if (found !== undefined) return found;
  throw new UsageError(`--algorithm is expected as ${known.join(' or ')} for a ${purpose}'s key, got "${given}"`);
}

async function generate(seal: SealLibrary, parsed: Parsed, terminal: Terminal, path: string): Promise<SecretKey> {
  const purpose = parsed.values['signing'] === true ? 'signer' : 'recipient';
  const effects = { crypto: seal.nodeCrypto, random: seal.nodeRandom };
  const key = seal.generateKey(effects.crypto, effects.random, algorithmOf(parsed, purpose));
  const locked = parsed.values['passphrase'] === true || textOption(parsed, 'passphrase-file') !== undefined;
  const text = locked
    ? seal.lockSecretKey(effects, key, await newPassphrase(parsed, terminal))
    : seal.encodeSecretKey(seal.nodeCrypto, key);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await seal.writeKeyFile(seal.nodeCrypto, path, key, text).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    const why = 'it is left as it is, because what was sealed to it could never be opened again';
    throw new FuselinkError('file_exists', `${path} is there already; ${why}`);
  });
  return key;
}

async function stored(seal: SealLibrary, parsed: Parsed, terminal: Terminal, path: string): Promise<SecretKey> {
  const keys = await seal.readKeyFile(seal.nodeCrypto, path, (await passphraseFor([path], parsed, terminal)) ?? null);
  return keys[0] as SecretKey;
}

/** Tells the server which key this device signs with. */
async function register(publicKey: string, parsed: Parsed, terminal: Terminal): Promise<void> {
  const { stateFolder, ...connection } = connectionOf(parsed, terminal);
  const transport = createTransport(connection);
  try {
    const answer = await transport.exchange({
      method: 'PUT',
      url: apiUrl(parseServerUrl(serverUrl(parsed, terminal)), '/v1/device/signing-key'),
      headers: {
        Authorization: `Bearer ${givenKey(parsed, terminal) ?? storedKey(credentialFolder(terminal.env))}`,
        'Content-Type': 'application/json',
      },
      body: Buffer.from(JSON.stringify({ public_key: publicKey })),
      signal: terminal.signal,
    });
    if (answer.status === 200 || answer.status === 201) return;
    const { code, detail } = problemOf(answer);
    throw new FuselinkError(code ?? 'not_fuselink', detail, { status: answer.status });
  } finally {
    transport.close();
  }
}

async function run(parsed: Parsed, terminal: Terminal): Promise<ExitCode> {
  if (parsed.words.length > 1) throw new UsageError('expected one file or none');
  const purpose = parsed.values['signing'] === true ? 'signer' : 'recipient';
  const path = parsed.words[0] ?? keyFileOf(terminal, purpose);
  const show = parsed.values['show'] === true;
  if (parsed.values['register'] === true && purpose !== 'signer') {
    throw new UsageError('--register is for signing keys (--signing); an operator enters recipients');
  }
  const seal = await loadSeal();
  const key = show ? await stored(seal, parsed, terminal, path) : await generate(seal, parsed, terminal, path);
  const publicKey = seal.encodePublicKey(seal.nodeCrypto, key);
  const print = seal.fingerprint(seal.nodeCrypto, key);
  const fingerprint = Buffer.from(print.bytes).toString('hex');
  if (parsed.values['register'] === true) await register(publicKey, parsed, terminal);
  if (parsed.values['json'] === true) {
    const { algorithm } = key;
    const what = { path, purpose: key.purpose, algorithm, public_key: publicKey, fingerprint, words: print.words };
    terminal.stdout.write(`${JSON.stringify(what)}\n`);
    return EXIT.ok.code;
  }
  terminal.stdout.write(`${publicKey}\n`);
  const lines = [`${show ? 'The key in' : 'The private key is in'} ${path}. In words: ${print.words}`];
  if (parsed.values['register'] === true) lines.push('The server knows it as the key this device signs with.');
  else if (!show) lines.push('The line above is public. Whoever gets it from you compares the words with you.');
  terminal.stderr.write(`${lines.join('\n')}\n`);
  return EXIT.ok.code;
}

export const keygen: Command = {
  name: 'keygen',
  words: '[FILE]',
  summary: 'Make a key pair for sealed files: a private key in FILE, the public key on standard output.',
  options: {
    signing: { type: 'boolean', help: 'a key to sign with, instead of one to receive with' },
    algorithm: {
      type: 'string',
      value: 'NAME',
      help: 'x-wing (default) or ml-kem-768; ed25519 (default) or ml-dsa-65',
    },
    passphrase: { type: 'boolean', help: 'lock the private key with a passphrase' },
    'passphrase-file': { type: 'string', value: 'FILE', help: 'take the passphrase from the first line of FILE' },
    show: { type: 'boolean', help: 'make nothing: show the public key and words of the key in FILE' },
    register: { type: 'boolean', help: 'with --signing: tell the server that this device signs with it' },
    url: { type: 'string', value: 'URL', help: 'the server, for --register (or FUSELINK_URL)' },
    'key-file': { type: 'string', value: 'FILE', help: 'file with the API key, for --register' },
    ...CONNECTION_OPTIONS,
  },
  details: [
    'FILE is by default recipient.key or signing.key in the folder of the credential store. It is made with mode 0600\nand never over an existing file. The operator enters a public key with `fuselink-server recipient add EMAIL KEY`.',
  ],
  run,
};

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command } from 'commander';
import { FILE_HASH_BYTES, FILE_TABLE_HASHES, FIRMWARE_LABEL } from '#sdk/protocol';
import { addFirmware, listFirmware, removeFirmware } from '../usecases/firmware/firmware-images.ts';
import { distrustFirmwareKey, listFirmwareKeys, trustFirmwareKey } from '../usecases/firmware/firmware-keys.ts';
import { operatorFor, print, withStores } from './operator.ts';

interface Options {
  account?: string;
  json?: boolean;
}

const BLOCK_BYTES_DEFAULT = 16_384;

function common(command: Command): Command {
  return command.option('--account <email>', 'which account, where there are several').option('--json', 'print JSON');
}

/** The manifest of an image, as it is signed. */
export async function firmwareManifest(path: string, about: { release: string; block: number }): Promise<string> {
  const whole = createHash('sha256');
  const hashes: Buffer[] = [];
  let size = 0;
  let held = Buffer.alloc(0);
  const take = (block: Buffer) => void hashes.push(createHash('sha256').update(block).digest());
  for await (const piece of createReadStream(path)) {
    whole.update(piece as Buffer);
    size += (piece as Buffer).length;
    held = Buffer.concat([held, piece as Buffer]);
    for (; held.length >= about.block; held = held.subarray(about.block)) take(held.subarray(0, about.block));
  }
  if (held.length > 0) take(held);
  const list = Buffer.concat(hashes);
  const tables: string[] = [];
  const tableBytes = FILE_TABLE_HASHES * FILE_HASH_BYTES;
  for (let at = 0; at < list.length; at += tableBytes) {
    tables.push(
      createHash('sha256')
        .update(list.subarray(at, at + tableBytes))
        .digest('hex'),
    );
  }
  const { release, block } = about;
  const facts = { name: basename(path), type: 'application/octet-stream', size, sha256: whole.digest('hex') };
  return JSON.stringify({ v: 1, ...facts, block, tables, firmware: release });
}

/** Raw public key, 64 hex characters, of a private or public key in PEM. */
function publicHex(pem: string): string {
  const jwk = createPublicKey(pem).export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519' || jwk.x === undefined) throw new Error('expected an Ed25519 key, got another kind');
  return Buffer.from(jwk.x, 'base64url').toString('hex');
}

/** `fuselink-server firmware`: signed images, and the keys that sign them. They are rolled out by `campaign --firmware`. */
export function firmwareCommand(): Command {
  const command = new Command('firmware').description('signed images for devices behind gateways');
  command
    .command('keygen <file>')
    .description('a key to sign images with; keep the file off the server')
    .option('--json', 'print JSON')
    .action(async (file: string, options: Options) => {
      const { privateKey } = generateKeyPairSync('ed25519');
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      await writeFile(file, pem, { mode: 0o600, flag: 'wx' });
      const publicKey = publicHex(pem);
      print(options.json === true, { public_key: publicKey }, [
        `Public key ${publicKey}`,
        `Trust it:  fuselink-server firmware trust ${publicKey} --name NAME`,
      ]);
    });
  common(command.command('trust <public-key>').description('what this key signs may be rolled out'))
    .requiredOption('--name <name>', 'whose key it is')
    .action(async (publicKey: string, options: Options & { name: string }) => {
      const key = await withStores(async (deps) =>
        trustFirmwareKey(deps, await operatorFor(deps, options.account), { publicKey, name: options.name }),
      );
      print(options.json === true, key, [`Trusted    ${key.public_key} (${key.name})`]);
    });
  common(
    command.command('distrust <public-key>').description('nothing it signed is taken or given out any more'),
  ).action(async (publicKey: string, options: Options) => {
    const key = await withStores(async (deps) =>
      distrustFirmwareKey(deps, await operatorFor(deps, options.account), publicKey),
    );
    print(options.json === true, key, [`Distrusted ${key.public_key} (${key.name})`]);
  });
  common(command.command('keys').description('the keys that are trusted')).action(async (options: Options) => {
    const keys = await withStores(async (deps) => listFirmwareKeys(deps, await operatorFor(deps, options.account)));
    const lines = keys.map((key) => `${key.public_key}  ${key.name}`);
    print(options.json === true, { keys }, lines.length === 0 ? ['no keys'] : lines);
  });
  common(command.command('add <image>').description('sign an image and take it up'))
    .requiredOption('--release <version>', 'what the image calls itself')
    .requiredOption('--key <file>', 'the private key, PEM')
    .option('--block <bytes>', 'bytes of one message to a device', Number, BLOCK_BYTES_DEFAULT)
    .action(async (image: string, options: Options & { release: string; key: string; block: number }) => {
      const line = await firmwareManifest(image, options);
      const key = createPrivateKey(await readFile(options.key, 'utf8'));
      const signature = sign(null, Buffer.from(`${FIRMWARE_LABEL}\n${line}`), key).toString('base64url');
      const added = await withStores(async (deps) =>
        addFirmware(deps, await operatorFor(deps, options.account), {
          line,
          signature,
          bytes: createReadStream(image),
        }),
      );
      print(options.json === true, added, [
        `Image      ${added.id} (${added.release}, ${added.size} bytes)`,
        `Roll out:  fuselink-server campaign create NAME --firmware ${added.id} --tag …`,
      ]);
    });
  common(command.command('list').description('images, newest first')).action(async (options: Options) => {
    const { images } = await withStores(async (deps) =>
      listFirmware(deps, await operatorFor(deps, options.account), { limit: 200 }),
    );
    const lines = images.map((one) => `${one.id}  ${one.release}  ${one.size} bytes  ${one.created_at}`);
    print(options.json === true, { images }, lines.length === 0 ? ['no images'] : lines);
  });
  common(command.command('remove <image>').description('an image that no device waits for')).action(
    async (image: string, options: Options) => {
      const gone = await withStores(async (deps) =>
        removeFirmware(deps, await operatorFor(deps, options.account), image),
      );
      print(options.json === true, gone, [`Removed    ${gone.id} (${gone.release})`]);
    },
  );
  return command;
}

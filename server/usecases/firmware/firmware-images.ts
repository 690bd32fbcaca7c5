import {
  FILE_HASH_BYTES,
  FILE_TABLE_HASHES,
  FIRMWARE_BYTES_MAX,
  FIRMWARE_LABEL,
  type FileManifest,
  fileTables,
  parseFileManifest,
} from '#sdk/protocol';
import { fromBase64url, fromHex, toHex, utf8 } from '../../domain/base64url.ts';
import type { Write } from '../../ports/metadata-store.ts';
import type { FirmwareBlockRow, FirmwareImageRow } from '../../ports/tables.ts';
import { whyOver } from '../auth/still-holds.ts';
import { auditOf, type Caller, requireAccountKey, requireManagement, requireWriter } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { FuselinkError } from '../error.ts';
import { newId } from '../new-id.ts';
import { newestFirst, type PageQuery } from '../paging.ts';
import { invalid, trustedKeys } from './firmware-keys.ts';

const PURPOSE = 'firmware block';
/** A block is a row. */
const BLOCK_BYTES_MIN = 4096;
const BLOCK_BYTES_MAX = 65_536;

export interface FirmwareAnswer {
  id: string;
  release: string;
  name: string;
  size: number;
  sha256: string;
  signer: string;
  created_at: string;
}

/**
 * Takes an image whose manifest carries the signature of a key the account trusts. Verified before the first byte of it is
 * looked at; every block is held against the signed tables as it comes. Throws `invalid_field`, `conflict` (a release there
 * is already), `digest_mismatch`, `payload_too_large`; what does not come in whole leaves nothing.
 */
export async function addFirmware(
  deps: Deps,
  caller: Caller,
  what: { line: string; signature: string; bytes: AsyncIterable<Uint8Array> },
): Promise<FirmwareAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const manifest = parseFileManifest(what.line, FIRMWARE_BYTES_MAX);
  if (typeof manifest === 'string') throw invalid('manifest', manifest);
  const { firmware: release, block } = manifest;
  if (release === undefined) throw invalid('manifest', 'firmware: expected the version of the image, got none');
  if (block < BLOCK_BYTES_MIN || block > BLOCK_BYTES_MAX) {
    throw invalid(
      'manifest',
      `block: expected ${BLOCK_BYTES_MIN} to ${BLOCK_BYTES_MAX} bytes for an image, got ${block}`,
    );
  }
  const signer = await signerOf(deps, caller, what);
  if (signer === null)
    throw invalid('signature', 'expected that of a key this account trusts over the manifest, got another');
  const nowMs = deps.clock.nowMs();
  const image: FirmwareImageRow = {
    id: newId(deps, 'fw'),
    account_id: caller.accountId,
    release,
    manifest: what.line,
    signature: what.signature,
    signer,
    size: manifest.size,
    state: 'uploading',
    created_at_ms: nowMs,
    version: 1,
  };
  await makeRoom(deps, caller, release);
  const begun = await deps.store.commit([{ kind: 'insert', table: 'firmware_images', row: image }]);
  if (!begun.ok) throw taken(release);
  try {
    await receive(deps, image, manifest, what.bytes);
    // An image takes minutes, and whoever sends it may have lost his key or session meanwhile.
    const over = await whyOver(deps, caller);
    if (over !== null) throw over;
    const ready: FirmwareImageRow = { ...image, state: 'ready', version: 2 };
    const detail = { release, size: manifest.size, sha256: manifest.sha256, signer };
    const outcome = await deps.store.commit([
      { kind: 'update', table: 'firmware_images', row: ready, expectVersion: 1 },
      auditOf(caller, deps.clock.nowMs(), { action: 'firmware.added', subject: image.id, detail }),
    ]);
    if (!outcome.ok) throw taken(release);
    return imageAnswer(ready);
  } catch (error) {
    await deleteImage(deps, image.id, []);
    throw error;
  }
}

/** The trusted key whose signature this is, or null. */
export async function signerOf(
  deps: Deps,
  caller: Pick<Caller, 'accountId'>,
  { line, signature }: { line: string; signature: string },
): Promise<string | null> {
  const bytes = fromBase64url(signature);
  if (bytes === null) return null;
  const message = utf8(`${FIRMWARE_LABEL}\n${line}`);
  for (const { public_key } of await trustedKeys(deps, caller)) {
    const key = fromHex(public_key);
    if (key !== null && deps.crypto.verifyEd25519(key, message, bytes)) return public_key;
  }
  return null;
}

/** What an upload of this release that broke left behind goes; one that is ready stays, and is in the way. */
async function makeRoom(deps: Deps, caller: Caller, release: string): Promise<void> {
  const earlier = await deps.store.get('firmware_images', { account_id: caller.accountId, release });
  if (earlier === null) return;
  if (earlier.state === 'ready') throw taken(release);
  await deleteImage(deps, earlier.id, []);
}

async function receive(
  deps: Deps,
  image: FirmwareImageRow,
  manifest: FileManifest,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const whole = deps.crypto.hash();
  const hashes: Uint8Array[] = [];
  const held = new Uint8Array(manifest.block);
  let filled = 0;
  let size = 0;
  const flush = async () => {
    if (filled === 0) return;
    const block = held.slice(0, filled);
    filled = 0;
    whole.update(block);
    hashes.push(deps.crypto.sha256(block));
    const id = blockId(image.id, hashes.length - 1);
    const row: FirmwareBlockRow = { id, image_id: image.id, bytes: deps.keyring.seal(PURPOSE, id, block), version: 1 };
    await deps.store.commit([{ kind: 'insert', table: 'firmware_blocks', row }]);
    if (hashes.length % FILE_TABLE_HASHES === 0) checkTable(deps, manifest, hashes);
  };
  for await (const piece of bytes) {
    size += piece.length;
    if (size > manifest.size)
      throw new FuselinkError('payload_too_large', `Expected ${manifest.size} bytes as signed, got more.`);
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + held.length - filled);
      held.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === held.length) await flush();
    }
  }
  await flush();
  if (hashes.length % FILE_TABLE_HASHES !== 0) checkTable(deps, manifest, hashes);
  if (size !== manifest.size || toHex(whole.digest()) !== manifest.sha256) throw mismatch();
}

/** The table that ends with the last hash is the signed one. */
function checkTable(deps: Deps, manifest: FileManifest, hashes: readonly Uint8Array[]): void {
  const table = fileTables(hashes.length) - 1;
  const own = hashes.slice(table * FILE_TABLE_HASHES);
  const bytes = new Uint8Array(own.length * FILE_HASH_BYTES);
  for (const [i, hash] of own.entries()) bytes.set(hash, i * FILE_HASH_BYTES);
  if (toHex(deps.crypto.sha256(bytes)) !== manifest.tables[table]) throw mismatch();
}

/** Blocks in their order, as they were signed. Throws where one cannot be opened any more. */
export async function* readImage(deps: Deps, image: FirmwareImageRow): AsyncGenerator<Uint8Array> {
  const manifest = parseFileManifest(image.manifest, FIRMWARE_BYTES_MAX) as FileManifest;
  for (let block = 0; block * manifest.block < image.size; block++) {
    const id = blockId(image.id, block);
    const row = await deps.store.get('firmware_blocks', { id });
    const bytes = row === null ? null : deps.keyring.open(PURPOSE, id, row.bytes);
    if (bytes === null) throw new Error(`block ${block} of image ${image.id} cannot be opened`);
    yield bytes;
  }
}

/** A page of the account's images, newest first. */
export async function listFirmware(
  deps: Deps,
  caller: Caller,
  query: PageQuery,
): Promise<{ images: FirmwareAnswer[]; next_cursor: string | null }> {
  requireAccountKey(caller);
  const page = await newestFirst(deps.store, 'firmware_images', [['account_id', '=', caller.accountId]], query);
  const images = page.rows.filter(({ state }) => state === 'ready').map(imageAnswer);
  return { images, next_cursor: page.next_cursor };
}

/** The account's image, by id or release. Throws `not_found`. */
export async function findFirmware(deps: Deps, caller: Caller, text: string): Promise<FirmwareImageRow> {
  requireAccountKey(caller);
  // Both, always: another account's id must cost exactly what an unknown one does.
  const [byId, byRelease] = await Promise.all([
    deps.store.get('firmware_images', { id: text }),
    deps.store.get('firmware_images', { account_id: caller.accountId, release: text }),
  ]);
  const row = byId?.account_id === caller.accountId ? byId : byRelease;
  if (row?.state === 'ready') return row;
  throw new FuselinkError('not_found', 'There is no such image.');
}

/** Removes an image. Throws `conflict` while a device is to get it. */
export async function removeFirmware(deps: Deps, caller: Caller, id: string): Promise<FirmwareAnswer> {
  requireManagement(caller);
  requireWriter(caller);
  const image = await findFirmware(deps, caller, id);
  const wanted = await deps.store.count('device_firmware', {
    where: [
      ['image_id', '=', image.id],
      ['state', '=', 'wanted'],
    ],
  });
  if (wanted.rows > 0)
    throw new FuselinkError('conflict', `Expected an image nobody waits for, got one for ${wanted.rows}.`);
  const audit = auditOf(caller, deps.clock.nowMs(), {
    action: 'firmware.removed',
    subject: image.id,
    detail: { release: image.release },
  });
  await deleteImage(deps, image.id, [audit]);
  return imageAnswer(image);
}

async function deleteImage(deps: Deps, id: string, also: Write[]): Promise<void> {
  for (;;) {
    const rows = await deps.store.list('firmware_blocks', {
      where: [['image_id', '=', id]],
      orderBy: [['id', 'asc']],
      limit: 100,
    });
    if (rows.length === 0) break;
    await deps.store.commit(rows.map((row): Write => ({ kind: 'delete', table: 'firmware_blocks', key: row.id })));
  }
  await deps.store.commit([{ kind: 'delete', table: 'firmware_images', key: id }, ...also]);
}

export function imageAnswer(row: FirmwareImageRow): FirmwareAnswer {
  const { id, release, size, signer, created_at_ms } = row;
  const { name, sha256 } = JSON.parse(row.manifest) as FileManifest;
  return { id, release, name, size, sha256, signer, created_at: new Date(created_at_ms).toISOString() };
}

function blockId(image: string, block: number): string {
  return `${image}/${String(block).padStart(6, '0')}`;
}

function taken(release: string): FuselinkError {
  return new FuselinkError('conflict', `release: there is an image called "${release}" already.`);
}

function mismatch(): FuselinkError {
  return new FuselinkError('digest_mismatch', 'The image is not the one that was signed; nothing of it was kept.');
}

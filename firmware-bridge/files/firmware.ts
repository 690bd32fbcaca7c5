import { createPublicKey, verify } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FIRMWARE_BYTES_MAX, FIRMWARE_LABEL, parseFileManifest } from '#sdk/protocol';
import type { FirmwareImage, Relay } from '../relay/relay.ts';
import { makeManifest } from './make-manifest.ts';
import type { Errand, Outgoing } from './outbox.ts';

/** [RFC 8410 §4]: what stands before the 32 bytes of an Ed25519 public key in DER. */
const ED25519_DER = Buffer.from('302a300506032b6570032100', 'hex');

/** Whether the signature over a manifest's line is that of this public key (64 hex characters). */
export function isSignedBy(publicKey: string, line: string, signature: string): boolean {
  try {
    const key = createPublicKey({
      key: Buffer.concat([ED25519_DER, Buffer.from(publicKey, 'hex')]),
      format: 'der',
      type: 'spki',
    });
    return verify(null, Buffer.from(`${FIRMWARE_LABEL}\n${line}`), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

export interface ImageShelfOptions {
  folder: string;
  relay: Pick<Relay, 'image' | 'imageContent'>;
  /** Public keys this gateway trusts, whatever the server says; null: those the server vouches for. */
  trusted: readonly string[] | null;
}

/**
 * Images that devices here wait for, each fetched once for all of them. The signature is verified before the first byte is
 * fetched, and the bytes are held against the signed manifest before the first is sent.
 */
export class ImageShelf {
  readonly #options: ImageShelfOptions;
  readonly #images = new Map<string, Promise<Outgoing>>();

  constructor(options: ImageShelfOptions) {
    this.#options = options;
  }

  /** What brings this image to this device. The device itself reports what becomes of it. */
  errand(device: string, imageId: string): Errand {
    return {
      key: `${device} ${imageId}`,
      device,
      bring: () => this.#image(imageId),
      arrived: async () => {},
      refused: async () => {},
      forget: async () => {},
    };
  }

  /** Lets go of images that nobody here waits for. */
  async keep(imageIds: ReadonlySet<string>): Promise<void> {
    for (const id of [...this.#images.keys()]) {
      if (imageIds.has(id)) continue;
      await this.#images.get(id)?.catch(() => {});
      this.#images.delete(id);
      await rm(join(this.#options.folder, id), { recursive: true, force: true });
    }
  }

  #image(id: string): Promise<Outgoing> {
    const known = this.#images.get(id);
    if (known !== undefined) return known;
    const bringing = this.#bring(id);
    this.#images.set(id, bringing);
    bringing.catch(() => this.#images.delete(id));
    return bringing;
  }

  async #bring(id: string): Promise<Outgoing> {
    const { relay } = this.#options;
    const folder = join(this.#options.folder, id);
    const path = join(folder, 'data');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const image = await relay.image(id);
    this.#verify(image);
    const here = await this.#sound(path, image).catch(() => null);
    if (here !== null) return here;
    const handle = await open(`${path}.part`, 'w', 0o600);
    try {
      for await (const bytes of await relay.imageContent(id)) await handle.write(bytes);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(`${path}.part`, path);
    return this.#sound(path, image);
  }

  #verify({ manifest, signature, signer }: FirmwareImage): void {
    const { trusted } = this.#options;
    if (trusted !== null && !trusted.includes(signer)) {
      throw new Error('the image is signed by a key that this gateway does not trust');
    }
    if (!isSignedBy(signer, manifest, signature)) throw new Error('the signature of the image does not hold');
  }

  /** The file as the signed manifest has it. Throws where it is another one, or none. */
  async #sound(path: string, { manifest: line, signature }: FirmwareImage): Promise<Outgoing> {
    const manifest = parseFileManifest(line, FIRMWARE_BYTES_MAX);
    if (typeof manifest === 'string') throw new Error(`the manifest of the image is not sound: ${manifest}`);
    const made = await makeManifest(path, { name: manifest.name, type: manifest.type, block: manifest.block });
    if (made.manifest.sha256 !== manifest.sha256 || made.manifest.tables.join() !== manifest.tables.join()) {
      await rm(path, { force: true });
      throw new Error('the image is not the one that was signed');
    }
    return { line, manifest, tables: made.tables, path, signature };
  }
}

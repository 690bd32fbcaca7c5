import { concat, readU16, readU64, u16, u64, utf8, utf8Text } from '../bytes.ts';
import { SealError } from '../errors.ts';
import { ALGORITHMS, algorithmName, type PublicKey } from '../keys/key.ts';
import { signatureSchemeById } from '../keys/signature-scheme.ts';
import {
  CONTENT_BYTES_MAX,
  MANIFEST_BYTES_MAX,
  MANIFEST_PADDING_BYTES,
  MEDIA_TYPE_BYTES_MAX,
  NAME_BYTES_MAX,
} from '../limits.ts';

/*
 * The manifest (SPEC §7), sealed at the front of the first chunk:
 *
 *   0  2  length    u16, bytes that follow, padding included
 *   2     fields    tag u8 ‖ length u16 ‖ value, tags strictly rising
 *         padding   zero bytes, up to a multiple of 256 with the length
 *
 * Tags below 0x80 must be understood; those from 0x80 on may be skipped.
 */
const TAG = { name: 0x01, contentBytes: 0x02, signer: 0x03, mediaType: 0x81, modifiedAtMs: 0x82 } as const;
const TAG_SKIPPABLE_FROM = 0x80;

/** What a sealed file says of itself; known only to those who can open it. */
export interface Manifest {
  /** File name, without folders; `null` where the sender gave none. */
  readonly name: string | null;
  /** Size of the content, or `null` where the sender did not know it beforehand. */
  readonly contentBytes: number | null;
  /** e.g. `text/csv`. */
  readonly mediaType: string | null;
  /** When the file was last modified by the sender's clock, milliseconds since 1970. Not evidence of anything. */
  readonly modifiedAtMs: number | null;
  /** Who claims to have signed; the claim is proven only once the whole file was read. */
  readonly signer: PublicKey | null;
}

/**
 * Why this name could do harm on the receiving side, or `null` where it may be sealed. Refused at both ends: folders,
 * `.` and `..`, control characters, characters that reverse the text (they make `exe` look like `txt`), and more than
 * 255 bytes. What only some systems refuse (`log 12:30.csv`) is the receiver's to map: {@link portableFileName}.
 */
export function nameFault(name: string): string | null {
  const bytes = utf8(name).length;
  if (bytes === 0 || bytes > NAME_BYTES_MAX) return `expected 1 to ${NAME_BYTES_MAX} bytes of UTF-8, got ${bytes}`;
  if (utf8Text(utf8(name)) !== name) return 'expected well-formed Unicode, got a lone surrogate';
  if (name === '.' || name === '..') return 'expected a file name, got a folder';
  if (/[/\\]/.test(name)) return 'expected a file name without / or \\';
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(name)) return 'expected no control characters';
  if (/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(name)) return 'expected no characters that reverse the text';
  return null;
}

/**
 * A name that every common file system takes, for a name that {@link nameFault} allows: what Windows refuses becomes
 * `_`, and a name that is a device there (`con.txt`) gets one in front.
 */
export function portableFileName(name: string): string {
  const mapped = name
    .replace(/[:*?"<>|]/g, '_')
    .replace(/[. ]$/, '_')
    .replace(/^ /, '_');
  return /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i.test(mapped) ? `_${mapped}` : mapped;
}

function mediaTypeIsValid(text: string): boolean {
  return text.length <= MEDIA_TYPE_BYTES_MAX && /^[\x21-\x7e]+\/[\x20-\x7e]+$/.test(text);
}

function field(tag: number, value: Uint8Array): Uint8Array {
  return concat([Uint8Array.of(tag), u16(value.length), value]);
}

/**
 * The manifest's bytes with length and padding.
 * Throws {@link SealError} `name_invalid`, `content_too_large`, or `manifest_malformed` for a media type or time that
 * cannot be written.
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const fields: Uint8Array[] = [];
  if (manifest.name !== null) {
    const fault = nameFault(manifest.name);
    if (fault !== null) throw new SealError('name_invalid', fault);
    fields.push(field(TAG.name, utf8(manifest.name)));
  }
  if (manifest.contentBytes !== null) {
    const size = manifest.contentBytes;
    if (!Number.isSafeInteger(size) || size < 0 || size > CONTENT_BYTES_MAX) {
      throw new SealError('content_too_large', `expected 0 to ${CONTENT_BYTES_MAX} bytes, got ${size}`);
    }
    fields.push(field(TAG.contentBytes, u64(size)));
  }
  if (manifest.signer !== null) {
    const { algorithm, publicKey } = manifest.signer;
    fields.push(field(TAG.signer, concat([u16(ALGORITHMS[algorithm].id), publicKey])));
  }
  if (manifest.mediaType !== null) {
    if (!mediaTypeIsValid(manifest.mediaType)) {
      throw new SealError('manifest_malformed', 'expected a media type like text/csv in printable ASCII');
    }
    fields.push(field(TAG.mediaType, utf8(manifest.mediaType)));
  }
  if (manifest.modifiedAtMs !== null) {
    const at = manifest.modifiedAtMs;
    if (!Number.isSafeInteger(at) || at < 0) {
      throw new SealError('manifest_malformed', `expected whole milliseconds since 1970, got ${at}`);
    }
    fields.push(field(TAG.modifiedAtMs, u64(at)));
  }
  const body = concat(fields);
  const totalBytes = Math.ceil((2 + body.length) / MANIFEST_PADDING_BYTES) * MANIFEST_PADDING_BYTES;
  const bytes = new Uint8Array(totalBytes);
  bytes.set(u16(totalBytes - 2), 0);
  bytes.set(body, 2);
  return bytes;
}

function malformed(detail: string): SealError {
  return new SealError('manifest_malformed', detail);
}

/** The fields by tag, after every rule that does not depend on a tag's meaning. */
function readFields(body: Uint8Array): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  let at = 0;
  let lastTag = 0;
  while (at < body.length && body[at] !== 0) {
    const tag = body[at]!;
    if (tag <= lastTag) throw malformed(`expected tags to rise, got ${tag} after ${lastTag}`);
    if (at + 3 > body.length) throw malformed('expected a field of 3 bytes or more at the end');
    const end = at + 3 + readU16(body, at + 1);
    if (end > body.length) throw malformed(`expected field ${tag} to end inside the manifest`);
    if (tag < TAG_SKIPPABLE_FROM && tag > TAG.signer)
      throw malformed(`field ${tag} must be understood and is not known`);
    fields.set(tag, body.subarray(at + 3, end));
    lastTag = tag;
    at = end;
  }
  for (; at < body.length; at++) if (body[at] !== 0) throw malformed('expected padding of zero bytes');
  return fields;
}

function textOf(fields: Map<number, Uint8Array>, tag: number): string | null {
  const value = fields.get(tag);
  if (value === undefined) return null;
  const text = utf8Text(value);
  if (text === null) throw malformed(`expected UTF-8 in field ${tag}`);
  return text;
}

function numberOf(fields: Map<number, Uint8Array>, tag: number): number | null {
  const value = fields.get(tag);
  if (value === undefined) return null;
  const number = value.length === 8 ? readU64(value, 0) : null;
  if (number === null) throw malformed(`expected 8 bytes below 2^53 in field ${tag}`);
  return number;
}

function signerOf(fields: Map<number, Uint8Array>): PublicKey | null {
  const value = fields.get(TAG.signer);
  if (value === undefined) return null;
  if (value.length < 2) throw malformed('expected an algorithm in the signer field');
  const id = readU16(value, 0);
  const algorithm = algorithmName('signer', id);
  const scheme = signatureSchemeById(id);
  if (algorithm === null || scheme === null) throw malformed(`signature scheme ${id} is not known`);
  if (value.length !== 2 + scheme.publicKeyBytes) {
    throw malformed(`expected a key of ${scheme.publicKeyBytes} bytes for ${algorithm}, got ${value.length - 2}`);
  }
  return { purpose: 'signer', algorithm, publicKey: value.slice(2) };
}

/**
 * Reads the manifest at the front of the first chunk's plaintext. Returns it with the bytes it took.
 * Throws {@link SealError} `manifest_malformed`, or `name_invalid` for a name that could do harm.
 */
export function decodeManifest(firstChunk: Uint8Array): { readonly manifest: Manifest; readonly bytes: number } {
  if (firstChunk.length < 2) throw malformed(`expected 2 bytes or more, got ${firstChunk.length}`);
  const bytes = 2 + readU16(firstChunk, 0);
  if (bytes % MANIFEST_PADDING_BYTES !== 0 || bytes > MANIFEST_BYTES_MAX || bytes > firstChunk.length) {
    const most = Math.min(MANIFEST_BYTES_MAX, firstChunk.length);
    throw malformed(`expected a multiple of ${MANIFEST_PADDING_BYTES} bytes up to ${most}, got ${bytes}`);
  }
  const fields = readFields(firstChunk.subarray(2, bytes));
  const name = textOf(fields, TAG.name);
  const fault = name === null ? null : nameFault(name);
  if (fault !== null) throw new SealError('name_invalid', fault);
  const mediaType = textOf(fields, TAG.mediaType);
  if (mediaType !== null && !mediaTypeIsValid(mediaType)) throw malformed('expected a media type in printable ASCII');
  const contentBytes = numberOf(fields, TAG.contentBytes);
  if (contentBytes !== null && contentBytes > CONTENT_BYTES_MAX) {
    throw malformed(`expected at most ${CONTENT_BYTES_MAX} content bytes, got ${contentBytes}`);
  }
  const modifiedAtMs = numberOf(fields, TAG.modifiedAtMs);
  return { manifest: { name, contentBytes, mediaType, modifiedAtMs, signer: signerOf(fields) }, bytes };
}

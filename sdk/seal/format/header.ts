import { SEALED_FILE_MAGIC } from '#sdk/protocol';
import { concat, equalBytes, hex, readU16, u16 } from '../bytes.ts';
import { SealError } from '../errors.ts';
import { KEY_BYTES, STANZA_BODY_BYTES_MAX, STANZAS_MAX } from '../limits.ts';

/*
 * The header (SPEC §3):
 *
 *   0   8  magic         F5 53 45 41 4C 0D 0A 1A   (õ SEAL CR LF SUB)
 *   8   1  version       01
 *   9  32  salt          random
 *  41   2  stanza count  n, 0 for a file whose key is in its link
 *  43      n stanzas     type u16 ‖ length u16 ‖ body
 *      32  MAC           HMAC-SHA-256 over everything before it
 */

/**
 * Eight bytes no text file begins with. The first has its high bit set, CR LF and SUB follow: a transfer that strips
 * bit 7, converts line ends or stops at Ctrl-Z is found at once (PNG's trick).
 */
export const MAGIC: Uint8Array = Uint8Array.from(SEALED_FILE_MAGIC);
/** The one version there is. */
export const VERSION = 1;
/** Magic, version, salt: what a stanza is bound to. */
export const PREAMBLE_BYTES = MAGIC.length + 1 + KEY_BYTES;
const FIXED_BYTES = PREAMBLE_BYTES + 2;
const STANZA_HEAD_BYTES = 4;
const MAC_BYTES = 32;

/** One recipient's way to the content key. */
export interface Stanza {
  /** HPKE code point of the KEM. Types a reader does not know are skipped. */
  readonly type: number;
  /** enc ‖ sealed content key (48 bytes). */
  readonly body: Uint8Array;
}

/** A header taken apart; nothing in it is authentic before its MAC was checked. */
export interface Header {
  readonly salt: Uint8Array;
  readonly stanzas: readonly Stanza[];
  readonly mac: Uint8Array;
  /** The bytes the MAC covers. */
  readonly covered: Uint8Array;
}

/** Magic, version and salt. */
export function encodePreamble(salt: Uint8Array): Uint8Array {
  return concat([MAGIC, Uint8Array.of(VERSION), salt]);
}

/** All of the header that the MAC covers. */
export function encodeCovered(salt: Uint8Array, stanzas: readonly Stanza[]): Uint8Array {
  const pieces = [encodePreamble(salt), u16(stanzas.length)];
  for (const stanza of stanzas) pieces.push(u16(stanza.type), u16(stanza.body.length), stanza.body);
  return concat(pieces);
}

/** Bytes of a header with stanza bodies of these sizes. */
export function headerBytes(stanzaBodyBytes: readonly number[]): number {
  let total = FIXED_BYTES + MAC_BYTES;
  for (const bodyBytes of stanzaBodyBytes) total += STANZA_HEAD_BYTES + bodyBytes;
  return total;
}

/** Whether these first bytes (8 are enough) are those of a sealed file of any version. */
export function looksSealed(firstBytes: Uint8Array): boolean {
  return firstBytes.length >= MAGIC.length && equalBytes(firstBytes.subarray(0, MAGIC.length), MAGIC);
}

function checkFixed(bytes: Uint8Array): void {
  if (!looksSealed(bytes)) {
    throw new SealError('not_sealed', `expected ${hex(MAGIC)}, got ${hex(bytes.subarray(0, MAGIC.length))}`);
  }
  const version = bytes[MAGIC.length]!;
  if (version !== VERSION) throw new SealError('version_unknown', `expected ${VERSION}, got ${version}`);
  const count = readU16(bytes, PREAMBLE_BYTES);
  if (count > STANZAS_MAX) {
    throw new SealError('header_malformed', `expected at most ${STANZAS_MAX} recipients, got ${count}`);
  }
}

/** Collects a header from pieces of any size; holds at most one header. */
export class HeaderReader {
  #bytes = new Uint8Array(2_048);
  #length = 0;
  /** How many bytes are needed before the next field can be read. */
  #needed = FIXED_BYTES;
  #stanzas: Stanza[] = [];
  #stanzasLeft = -1;
  /** Where the stanza being read begins. */
  #stanzaAt = FIXED_BYTES;
  #stanzaHeadRead = false;

  /**
   * Takes in more of the file. Returns `null` until the header is whole, then the header and how many of `bytes`
   * belonged to it. Throws {@link SealError} `not_sealed`, `version_unknown` or `header_malformed`.
   */
  push(bytes: Uint8Array): { readonly header: Header; readonly usedBytes: number } | null {
    let used = 0;
    for (;;) {
      const taken = Math.min(this.#needed - this.#length, bytes.length - used);
      this.#append(bytes.subarray(used, used + taken));
      used += taken;
      if (this.#length < this.#needed) return null;
      const header = this.#advance();
      if (header !== null) return { header, usedBytes: used };
    }
  }

  /** What to say of a file that ends inside its header. */
  endedEarly(): SealError {
    const seen = this.#bytes.subarray(0, Math.min(this.#length, MAGIC.length));
    if (!equalBytes(seen, MAGIC.subarray(0, seen.length)) || seen.length === 0) {
      return new SealError('not_sealed', `expected ${hex(MAGIC)}, got ${seen.length === 0 ? 'nothing' : hex(seen)}`);
    }
    return new SealError('truncated', `expected a header of ${this.#needed} bytes or more, got ${this.#length}`);
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(2 * (this.#length + bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Reads the field that has just become whole. */
  #advance(): Header | null {
    if (this.#stanzasLeft < 0) {
      checkFixed(this.#bytes.subarray(0, this.#length));
      this.#stanzasLeft = readU16(this.#bytes, PREAMBLE_BYTES);
    } else if (this.#stanzasLeft === 0) {
      return this.#finish();
    } else if (!this.#stanzaHeadRead) {
      const bodyBytes = readU16(this.#bytes, this.#stanzaAt + 2);
      if (bodyBytes > STANZA_BODY_BYTES_MAX) {
        const expected = `expected a stanza of at most ${STANZA_BODY_BYTES_MAX} bytes`;
        throw new SealError('header_malformed', `${expected}, got ${bodyBytes}`);
      }
      this.#needed += bodyBytes;
      this.#stanzaHeadRead = true;
      return null;
    } else {
      const type = readU16(this.#bytes, this.#stanzaAt);
      this.#stanzas.push({ type, body: this.#bytes.slice(this.#stanzaAt + STANZA_HEAD_BYTES, this.#length) });
      this.#stanzaAt = this.#length;
      this.#stanzaHeadRead = false;
      this.#stanzasLeft -= 1;
    }
    this.#needed += this.#stanzasLeft > 0 ? STANZA_HEAD_BYTES : MAC_BYTES;
    return null;
  }

  #finish(): Header {
    const covered = this.#bytes.slice(0, this.#length - MAC_BYTES);
    return {
      salt: covered.slice(MAGIC.length + 1, PREAMBLE_BYTES),
      stanzas: this.#stanzas,
      mac: this.#bytes.slice(covered.length, this.#length),
      covered,
    };
  }
}

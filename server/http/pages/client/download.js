import { sha256 } from '@noble/hashes/sha2.js';
import { claimLink, pause, refusal } from './calls.js';

/** A connection over which nothing came for this long is given up and another one tried. */
const SILENCE_MS = 20_000;
/** How long to go on trying without a new byte. */
const PATIENCE_MS = 600_000;
/** Pieces are handed to the browser in blobs of this size, which it may keep on disk. */
const BLOB_BYTES = 8_388_608;

/** What has arrived: hashed as it comes, because the browser's own digest wants everything at once (and HTTPS). */
class Arrived {
  /** `open`: makes what opens a sealed download from its first byte on; null keeps it as it comes. */
  constructor(open) {
    this.bytes = 0;
    this.hash = sha256.create();
    this.opener = open === null ? null : open();
    this.blobs = [];
    this.loose = [];
    this.looseBytes = 0;
  }

  async add(piece) {
    this.bytes += piece.length;
    this.hash.update(piece);
    this.keep(this.opener === null ? [piece] : await this.opener.push(piece));
  }

  keep(pieces) {
    for (const piece of pieces) {
      this.loose.push(piece);
      this.looseBytes += piece.length;
      if (this.looseBytes >= BLOB_BYTES) this.settle();
    }
  }

  settle() {
    this.blobs.push(new Blob(this.loose));
    this.loose = [];
    this.looseBytes = 0;
  }

  async finish(type) {
    const end = this.opener === null ? { pieces: [], unsealed: null } : await this.opener.finish();
    this.keep(end.pieces);
    this.settle();
    const digest = Array.from(this.hash.digest(), (byte) => byte.toString(16).padStart(2, '0')).join('');
    return { blob: new Blob(this.blobs, { type }), sha256: digest, unsealed: end.unsealed };
  }
}

/**
 * Fetches a claimed file, going on where it was after every break, and opens it as it comes where `open` is given.
 * Throws when the link has ended, and when what came cannot be opened.
 */
export async function download(lease, tell, open = null) {
  let arrived = new Arrived(open);
  let etag = null;
  let waitMs = 500;
  let lastByteAt = Date.now();
  while (true) {
    try {
      const headers = { 'fuselink-claim': lease.claim };
      if (arrived.bytes > 0) {
        headers.range = `bytes=${arrived.bytes}-`;
        if (etag !== null) headers['if-range'] = etag;
      }
      await fetchPart(`${lease.base}/content`, headers, {
        started(response) {
          etag = response.headers.get('etag');
          if (response.status === 200) arrived = new Arrived(open);
        },
        async piece(piece) {
          await arrived.add(piece);
          lastByteAt = Date.now();
          waitMs = 500;
          tell.moved(arrived.bytes);
        },
      });
      if (arrived.bytes === lease.size) return await arrived.finish(lease.content_type);
    } catch (error) {
      if (error.code !== undefined) await goOnAfter(error, lease, tell);
    }
    if (Date.now() - lastByteAt > PATIENCE_MS) throw new Error('The connection did not come back. Nothing was burned.');
    tell.waiting(Math.ceil(waitMs / 1000), 'The connection broke.');
    await pause(waitMs);
    waitMs = Math.min(waitMs * 2, 15_000);
  }
}

/** One request for bytes. A silent connection is given up. */
async function fetchPart(url, headers, on) {
  const breaker = new AbortController();
  let timer = setTimeout(() => breaker.abort(), SILENCE_MS);
  try {
    const response = await fetch(url, { headers, signal: breaker.signal, cache: 'no-store', credentials: 'omit' });
    if (!response.ok) throw await refusal(response);
    on.started(response);
    const reader = response.body.getReader();
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      clearTimeout(timer);
      timer = setTimeout(() => breaker.abort(), SILENCE_MS);
      await on.piece(step.value);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** The server refused to go on: another claim is needed, or patience, or it is over. */
async function goOnAfter(refused, lease, tell) {
  if (refused.code === 'storage_unavailable' || refused.code === 'internal') return;
  if (refused.code !== 'claim_unknown' && refused.code !== 'transfer_leased') throw refused;
  try {
    lease.claim = (await claimLink(lease.base)).claim;
  } catch (error) {
    if (error.code !== 'transfer_leased' && error.code !== undefined) throw error;
    const seconds = Math.min(error.retrySeconds ?? 5, 15);
    tell.waiting(seconds, 'Somebody else began to read this file.');
    await pause(seconds * 1000);
  }
}

import { asFuselinkError, problemAnswer } from '../http/problem.ts';
import type { Deps } from '../usecases/deps.ts';
import { readLink } from '../usecases/read/read-link.ts';

/** A reader's request for the bytes behind a link, under its claim. */
export interface RelayRead {
  token: string;
  claim: string;
  /** The first byte it has not got yet. */
  from: number;
  /** Its connection breaks after so many bytes; null: it holds. */
  cutAfterBytes: number | null;
}

/** What the reader has of it. `code`: of a refusal, or null. */
export interface RelayContent {
  status: number;
  code: string | null;
  bytes: Uint8Array;
}

/** `GET /get/:token/content` without a socket: what is handed over is what the reader has, and a cut is a broken read. */
export async function readContent(deps: Deps, request: RelayRead, from: string): Promise<RelayContent> {
  const got: Uint8Array[] = [];
  let handed = 0;
  try {
    const read = await readLink(deps, request.token, {
      claim: request.claim,
      readerTag: from,
      from,
      range: (row) => ({ from: request.from, to: row.size ?? 0, openEnded: true }),
    });
    const bytesMax = request.cutAfterBytes ?? Number.POSITIVE_INFINITY;
    let whole = false;
    try {
      for await (const piece of read.body) {
        const kept = piece.subarray(0, bytesMax - handed);
        got.push(kept);
        handed += kept.byteLength;
        read.moved(handed);
        if (handed >= bytesMax) break;
      }
      whole = request.cutAfterBytes === null && handed === read.to - read.from;
    } finally {
      await read.end(whole ? 'unproven' : 'broken', handed);
    }
    return { status: request.from === 0 ? 200 : 206, code: null, bytes: new Uint8Array(Buffer.concat(got)) };
  } catch (error) {
    const known = asFuselinkError(error);
    if (known.code === 'internal' || known.code.startsWith('storage_')) deps.warn('a read failed', known.cause);
    return { status: problemAnswer(known).status, code: known.code, bytes: new Uint8Array(Buffer.concat(got)) };
  }
}

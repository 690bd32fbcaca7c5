import { resolve } from 'node:path';
import { parseS3Location, type S3Location } from './adapters/s3/location.ts';

/** Where metadata lives. `url` holds a password: it goes to the adapter and into no message. */
export type MetadataSettings =
  | { kind: 'sqlite'; path: string }
  | { kind: 'memory' }
  | { kind: 'postgres'; url: string };

/** Where large bodies live. */
export type BlobSettings =
  | { kind: 'disk'; folder: string }
  | { kind: 'memory'; bytesMax: number }
  | { kind: 's3'; location: S3Location; accessKeyId: string; secretAccessKey: string };

const MEMORY_BLOB_BYTES = 268_435_456;

/** Reads FUSELINK_METADATA; what is wrong with it goes to `problems`, without what it says behind its scheme. */
export function readMetadata(text: string, dataFolder: string, problems: string[]): MetadataSettings {
  if (text === 'memory:') return { kind: 'memory' };
  if (text.startsWith('sqlite:'))
    return { kind: 'sqlite', path: resolve(text.slice(7) || `${dataFolder}/fuselink.db`) };
  if (/^postgres(ql)?:\/\//.test(text)) {
    if (URL.canParse(text) && new URL(text).pathname.length > 1) return { kind: 'postgres', url: text };
    problems.push(
      'FUSELINK_METADATA: expected postgres://user:password@host[:port]/database (special characters as %XX), got a postgres: address of another form',
    );
    return { kind: 'memory' };
  }
  problems.push(
    `FUSELINK_METADATA: expected sqlite:, sqlite:/path/file.db, postgres://user:password@host/database or memory:, got ${scheme(text)}`,
  );
  return { kind: 'memory' };
}

/** Reads FUSELINK_BLOBS and the credentials that s3: needs. */
export function readBlobs(
  text: string,
  beside: { dataFolder: string; keyId: string; secret: string },
  problems: string[],
): BlobSettings {
  if (text.startsWith('disk:')) return { kind: 'disk', folder: resolve(text.slice(5) || `${beside.dataFolder}/blobs`) };
  const memory = /^memory:(\d{0,15})$/.exec(text);
  if (memory !== null) return { kind: 'memory', bytesMax: memory[1] ? Number(memory[1]) : MEMORY_BLOB_BYTES };
  if (text.startsWith('s3:')) return readS3(text, beside, problems);
  problems.push(
    `FUSELINK_BLOBS: expected disk:, disk:/path, memory:[bytes] or s3://bucket?endpoint=…, got ${scheme(text)}`,
  );
  return { kind: 'memory', bytesMax: 0 };
}

function readS3(text: string, beside: { keyId: string; secret: string }, problems: string[]): BlobSettings {
  for (const [name, value] of [
    ['FUSELINK_S3_KEY_ID', beside.keyId],
    ['FUSELINK_S3_SECRET', beside.secret],
  ] as const) {
    if (value === '') problems.push(`${name}: expected the credentials of the object store, got nothing`);
  }
  try {
    const location = parseS3Location(text);
    return { kind: 's3', location, accessKeyId: beside.keyId, secretAccessKey: beside.secret };
  } catch (error) {
    problems.push(`FUSELINK_BLOBS: ${(error as Error).message}`);
    return { kind: 'memory', bytesMax: 0 };
  }
}

/** What a refused address began with: the rest may hold a password. */
function scheme(text: string): string {
  const named = /^[a-z0-9+.-]{1,16}:/i.exec(text);
  return named === null ? 'an address without a scheme' : `"${named[0]}…"`;
}

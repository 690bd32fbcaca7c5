import { open } from 'node:fs/promises';
import { FuselinkError, type Source } from '#sdk/node';

const PIECE_BYTES = 65_536;

/**
 * A file whose bytes before `from` are on the server and not here, for going on with the upload that has them. Its digest
 * is the announced one: the server holds the whole against it before it counts. Asked for earlier bytes it throws
 * `source_rewound`.
 */
export async function partSource(
  path: string,
  { from, sizeBytes, sha256 }: { from: number; sizeBytes: number; sha256: string },
): Promise<Source> {
  const handle = await open(path, 'r');
  const rewound = () => new FuselinkError('source_rewound', `expected to go on from byte ${from}, got an earlier one`);
  return {
    sizeBytes,
    replayable: true,
    whole: async () => {
      throw rewound();
    },
    async prepare(offset, bytesMax) {
      if (offset < from) throw rewound();
      return { bytes: Math.min(sizeBytes - offset, bytesMax ?? Number.POSITIVE_INFINITY), sizeBytes };
    },
    async send(offset, count, write) {
      const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
      for (let at = offset; at < offset + count; ) {
        const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, offset + count - at), at);
        if (bytesRead === 0) throw new FuselinkError('source_unreadable', `the file ends at byte ${at}`);
        await write(piece.subarray(0, bytesRead));
        at += bytesRead;
      }
    },
    changedTo: async () => null,
    digest: async () => sha256,
    reopen: async () => {
      throw rewound();
    },
    close: () => handle.close(),
  };
}

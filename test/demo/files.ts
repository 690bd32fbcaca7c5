import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const MB = 1_000_000;

export interface DemoFiles {
  csv: string;
  large: string;
  empty: string;
  awkward: string;
}

/** Makes the files the demo sends: a sensor's day, 100 MB of binary, nothing at all, and a name that breaks naive code. */
export async function makeFiles(folder: string): Promise<DemoFiles> {
  const files: DemoFiles = {
    csv: join(folder, 'sensor-log.csv'),
    large: join(folder, 'firmware-dump.bin'),
    empty: join(folder, 'empty.dat'),
    awkward: join(folder, `Prüf "bericht" 2026 №7 – it's 100%.txt`),
  };
  await writeFile(files.csv, sensorTrace());
  await writeFile(files.empty, '');
  await writeFile(files.awkward, 'A name with spaces, quotes, a per cent sign and letters beyond ASCII.\n');
  await writeBinary(files.large, 100 * MB);
  return files;
}

/** A day of a boiler's temperature and pressure, one reading a minute: daily wave, drift, and a fault at noon. */
function sensorTrace(): string {
  const rows = ['minute,celsius,bar,valve'];
  let random = 12345;
  for (let minute = 0; minute < 1440; minute++) {
    random = (random * 1103515245 + 12345) % 2147483648;
    const noise = random / 2147483648 - 0.5;
    const celsius = 61 + 6 * Math.sin((minute / 1440) * 2 * Math.PI) + noise + (minute > 720 && minute < 735 ? 9 : 0);
    rows.push(`${minute},${celsius.toFixed(2)},${(1.8 + noise / 10).toFixed(3)},${celsius > 68 ? 'open' : 'shut'}`);
  }
  return `${rows.join('\n')}\n`;
}

async function writeBinary(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  const piece = Buffer.alloc(MB);
  try {
    for (let at = 0; at < bytes; at += MB) {
      for (let i = 0; i < MB; i += 4) piece.writeUInt32LE(((at + i) ^ 0x9e3779b9) >>> 0, i);
      await file.write(piece);
    }
  } finally {
    await file.close();
  }
}

/** SHA-256 of a file on disk, 64 hex characters. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

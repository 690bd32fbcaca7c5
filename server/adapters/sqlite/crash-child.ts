import type { DeviceId } from '../../domain/ids.ts';
import { auditEntry, bodyRow, deviceRow } from '../../ports/metadata-rows.contract.ts';
import { openSqliteStore } from './metadata-store.ts';

/** Commits as fast as it can and prints each number once it is acknowledged, until it is killed (crash.test.ts). */
const [path, first] = process.argv.slice(2) as [string, string];
const store = await openSqliteStore({ path });
let next = Number(first);

async function committer(): Promise<void> {
  for (;;) {
    const number = next++;
    const bytes = new Uint8Array((number % 7) * 3_000).fill(number & 0xff);
    const outcome = await store.commit([
      { kind: 'insert', table: 'devices', row: deviceRow(number, { id: `device-${number}` as DeviceId }) },
      { kind: 'insert', table: 'bodies', row: bodyRow(number, bytes) },
      { kind: 'audit', entry: auditEntry({ at_ms: number, detail: { number } }) },
    ]);
    if (!outcome.ok) throw new Error(`expected a free number, came ${number}`);
    process.stdout.write(`${number}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, committer));

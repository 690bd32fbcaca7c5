import { resolve } from 'node:path';
import { Command } from 'commander';
import { copyBlobs, exportTo, importFrom, type Moved } from '../move.ts';
import { readSettings } from '../settings.ts';
import { openBlobs } from '../wiring.ts';
import { print, withStores } from './operator.ts';

export function exportCommand(): Command {
  return new Command('export')
    .description('write all metadata to a new file, to be imported into another database; stop the server first')
    .argument('<file>', 'a name that is not taken')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { json?: boolean }) => {
      const tables = await withStores((deps) => exportTo(deps.store, resolve(file)));
      print(options.json === true, { file: resolve(file), tables }, linesOf(tables));
    });
}

export function importCommand(): Command {
  return new Command('import')
    .description('read what "export" wrote into an empty database, and check it: counts and digests of every table')
    .argument('<file>', 'what "export" wrote')
    .option('--blobs-from <address>', 'also copy the large files from there (as FUSELINK_BLOBS of the old server)')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { blobsFrom?: string; json?: boolean }) => {
      const result = await withStores(async (deps) => {
        const tables = await importFrom(deps.store, resolve(file));
        if (options.blobsFrom === undefined) return { tables };
        const from = await openBlobs(readSettings({ ...process.env, FUSELINK_BLOBS: options.blobsFrom }).blobs);
        try {
          return { tables, copied: await copyBlobs(from, deps.blobs) };
        } finally {
          await from.close();
        }
      });
      const copied = result.copied === undefined ? [] : [`${result.copied.blobs} files, ${result.copied.bytes} bytes`];
      print(options.json === true, result, [...linesOf(result.tables), ...copied]);
    });
}

function linesOf(tables: Moved): string[] {
  return Object.entries(tables).map(
    ([name, { rows, sha256 }]) => `${name.padEnd(20)} ${String(rows).padStart(9)}  ${sha256}`,
  );
}

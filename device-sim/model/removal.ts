import { SERVER_MACHINE, type ServerMachine } from '#server';
import { isSound } from './check.ts';
import type { DeviceMachine, RotationSource } from './device-tables.ts';
import { type ModelOptions, productOptions } from './options.ts';
import { type SearchResult, search } from './search.ts';
import { deviceRows, deviceWith } from './variants.ts';

/** The product without one row. */
export interface Removal {
  /** Which row, as its table writes it. */
  row: string;
  safety: boolean;
  machines: { device?: DeviceMachine; server?: ServerMachine };
}

/** The device's table without each of its rows in turn. */
export function deviceRemovals(): Removal[] {
  const rows = deviceRows();
  return rows.map((row, index) => ({
    row: [row.phases, row.events, row.guards.length > 0 ? row.guards : '-', row.next, row.actions].join(' '),
    safety: row.safety,
    machines: { device: deviceWith(rows.filter((_, other) => other !== index)) },
  }));
}

/** The server's table without each of its rows in turn. */
export function serverRemovals(): Removal[] {
  const { table } = SERVER_MACHINE;
  return table.map((row, index) => ({
    row: `${row.from} ${row.on} [${row.when}] → ${row.to ?? 'stays'} [${row.does}]`,
    safety: row.safety,
    machines: { server: { ...SERVER_MACHINE, table: table.filter((_, other) => other !== index) } },
  }));
}

/** Searches that together show what each safety row is for, quick ones first. */
function probes(): ModelOptions[] {
  const sources: RotationSource[] = ['self', 'offer', 'manual'];
  const each = (change: Partial<ModelOptions>) => sources.map((source) => ({ ...productOptions(source), ...change }));
  return [
    ...each({ network: 'generous', generationMax: 2 }),
    { ...productOptions('self'), generationMax: 2 },
    ...each({ network: 'generous', rot: true, incidents: true }),
    ...each({ generationMax: 2 }),
    productOptions('self'),
  ];
}

/** The first search that finds the product without this row unsound, or null where none does. */
export function findHarm(removal: Removal): SearchResult | null {
  for (const options of probes()) {
    const result = search({ ...options, ...removal.machines }, 'all');
    if (!isSound(result)) return result;
  }
  return null;
}

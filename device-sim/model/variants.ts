import { type LooseServerRow, SERVER_MACHINE, type ServerMachine } from '#server';
import { DEVICE_ROWS, type DeviceMachine, type DeviceRow, parseDeviceRow, ROTATION_ACTIONS } from './device-tables.ts';
import { DEVICE_MACHINE, type ModelOptions, productOptions } from './options.ts';

/** A design that is known to lock devices out (DESIGN §6.4): the product's tables, patched. */
export interface Variant {
  name: string;
  /** What is different, in words of the tables. */
  patch: string;
  options: ModelOptions;
}

function deviceRows(): DeviceRow[] {
  return Array.from({ length: DEVICE_ROWS.count }, (_, index) => DEVICE_ROWS.at(index));
}

/** The device with other rows, and further words for them. */
export function deviceWith(rows: DeviceRow[], actions: DeviceMachine['actions'] = {}): DeviceMachine {
  return {
    rows: { count: rows.length, at: (index) => rows[index]! },
    guards: DEVICE_MACHINE.guards,
    actions: { ...ROTATION_ACTIONS, ...actions },
  };
}

/** The product's device table with the one row that begins with `start` replaced. Throws RangeError if there is none. */
function patchedDevice(start: string, replacement: string, actions: DeviceMachine['actions'] = {}): DeviceMachine {
  const rows = deviceRows();
  const wanted = parseDeviceRow(`${start} = -`);
  const same = (row: DeviceRow) => [row.phases, row.events, row.guards].join(' ');
  const at = rows.findIndex((row) => same(row) === same(wanted));
  if (at < 0) throw new RangeError(`expected a device row that begins with "${start}", found none`);
  rows[at] = parseDeviceRow(replacement);
  return deviceWith(rows, actions);
}

/** The server with every row that `change` has an answer for replaced. Throws RangeError if there is none. */
function patchedServer(
  change: (row: LooseServerRow) => LooseServerRow | null,
  words: Partial<Pick<ServerMachine, 'guards' | 'actions'>> = {},
): ServerMachine {
  const table = SERVER_MACHINE.table.map((row) => change(row) ?? row);
  if (table.every((row, index) => row === SERVER_MACHINE.table[index])) {
    throw new RangeError('expected a server row to patch, found none');
  }
  return {
    table,
    guards: { ...SERVER_MACHINE.guards, ...words.guards },
    actions: { ...SERVER_MACHINE.actions, ...words.actions },
  };
}

const overOwnKey: DeviceMachine['actions'] = {
  stageOverBase: (state, event, effects) => {
    const { generation, fingerprint } = event as { generation: number; fingerprint: string };
    state.writing = fingerprint;
    effects.push({ kind: 'stage', record: { generation, base: '-', fingerprint } });
  },
};

const fromMemory: DeviceMachine['actions'] = {
  holdInMemory: (state, event) => {
    const { generation, base, fingerprint } = event as { generation: number; base: string; fingerprint: string };
    state.candidate = { generation, base, fingerprint };
    state.turn = 'candidate';
  },
};

const onOwnBase: DeviceMachine['actions'] = {
  stageOnBelievedBase: (state, event, effects) => {
    const { generation, fingerprint } = event as { generation: number; fingerprint: string };
    state.writing = fingerprint;
    effects.push({ kind: 'stage', record: { generation, base: state.base!.fingerprint, fingerprint } });
  },
};

/** No pending key is revoked when the next is minted, and whichever is used first is promoted. */
function twoPending(): ServerMachine {
  const used = (row: { active: string | null; retiring: string | null }, by: unknown) =>
    typeof by === 'string' && by !== row.active && by !== row.retiring;
  return patchedServer(
    (row) => {
      if (row.does.includes('revokePending') && row.does.includes('nextGeneration')) {
        return { ...row, does: row.does.filter((name) => name !== 'revokePending') };
      }
      if (row.to !== 'PROVEN') return null;
      return { ...row, from: ['MINTED', 'WANTED', 'OVERDUE'], when: ['byAnyPending'], does: ['promoteUsed'] };
    },
    {
      guards: { byAnyPending: (row, command) => used(row, 'by' in command ? command.by : null) },
      actions: {
        promoteUsed: (hand, command) => {
          hand.row.pending = 'by' in command ? command.by : null;
          SERVER_MACHINE.actions['promote']!(hand, command);
        },
      },
    },
  );
}

function variant(name: string, patch: string, change: Partial<ModelOptions>): Variant {
  return { name, patch, options: { ...productOptions('self'), ...change } };
}

/** The nine designs of DESIGN §6.4, in its order. Each is run by the product's own `stepRotation` and `transition`. */
export function variants(): Variant[] {
  return [
    variant('one-slot', 'the device writes the candidate over the key it has', {
      device: patchedDevice('* candidate held', '* candidate - = stageOverBase', overOwnKey),
      source: 'manual',
      storage: 'one-slot',
    }),
    variant('key-used-before-durable', 'the device uses the candidate from memory', {
      device: patchedDevice('* candidate held', '* candidate - STAGED holdInMemory,register,wake', fromMemory),
    }),
    variant('roll-back-on-timeout', 'the device takes a timeout for a refusal', {
      device: patchedDevice('PROVING accepted,unknown,failed -', 'PROVING failed - SETTLED dropCandidate'),
    }),
    variant('candidate-dropped-on-any-401', 'the device takes key_unknown for key_revoked', {
      device: patchedDevice('PROVING unknown candidate', 'PROVING unknown candidate SETTLED dropCandidate'),
    }),
    variant('two-generations-pending', 'the server does not revoke a pending key when it mints another', {
      source: 'offer',
      server: twoPending(),
    }),
    variant('offer-without-base', 'the device takes any newer offer, and what it believes to be the base', {
      device: patchedDevice('* candidate held', '* candidate - = stageOnBelievedBase', onOwnBase),
    }),
    variant('old-key-erased-on-first-200', 'the device purges its base when the candidate is accepted', {
      device: patchedDevice('PROVING accepted candidate', 'PROVING accepted candidate SETTLED dropBase'),
    }),
    variant('both-slots-in-one-page', 'the medium keeps both slots in one erase page', { storage: 'shared' }),
    variant('abort-on-stale-read', 'the server stores a decision without comparing state and generation', {
      store: 'blind',
    }),
  ];
}

export { deviceRows };

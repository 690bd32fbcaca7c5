import { SERVER_MACHINE, type ServerMachine } from '#server';
import {
  DEVICE_ROWS,
  type DeviceMachine,
  ROTATION_ACTIONS,
  ROTATION_GUARDS,
  type RotationSource,
} from './device-tables.ts';

/** What the checker is let do, and with which tables. */
export interface ModelOptions {
  source: RotationSource;
  /** The newest generation a rotation may be started for; the device begins at 1. */
  generationMax: number;
  /** Quarantine, release, approval, recovery, loss and re-provisioning, once. */
  incidents: boolean;
  /** One slot may rot while the device is away for longer than any request lives. */
  rot: boolean;
  /**
   * `exact`: a request or answer exists once it was sent. `generous`: whatever the device could have sent, and the
   * server could have answered, by the keys they hold, may arrive at any time. Generous worlds do more than exact ones,
   * so what is safe there is safe; they are far fewer, so there is room for more rotations. That the device does send,
   * and the system therefore can settle, only exact worlds show.
   */
  network: 'exact' | 'generous';
  device: DeviceMachine;
  server: ServerMachine;
  storage: Storage;
  store: Store;
}

/**
 * The slots' medium. `separate`: a cut inside a write harms the slot being written. `shared`: one erase page for both.
 * `one-slot`: there is but one.
 */
export type Storage = 'separate' | 'shared' | 'one-slot';

/** The server's store. `compare-and-set`: an outcome is stored only on the row it was decided on. `blind`: always. */
export type Store = 'compare-and-set' | 'blind';

const PRODUCT_ROWS = Array.from({ length: DEVICE_ROWS.count }, (_, index) => DEVICE_ROWS.at(index));

/** The product's device, with its rows taken apart once. */
export const DEVICE_MACHINE: DeviceMachine = {
  rows: { count: PRODUCT_ROWS.length, at: (index) => PRODUCT_ROWS[index]! },
  guards: ROTATION_GUARDS,
  actions: ROTATION_ACTIONS,
};

/** The product as it is, for two rotations by `source`. */
export function productOptions(source: RotationSource): ModelOptions {
  return {
    source,
    generationMax: 3,
    incidents: false,
    rot: false,
    network: 'exact',
    device: DEVICE_MACHINE,
    server: SERVER_MACHINE,
    storage: 'separate',
    store: 'compare-and-set',
  };
}

import type { RelayAnswer, RelayRequest } from '#server';
import type { Device, DeviceTraits } from '../device/device.ts';
import type { Medium } from '../device/medium.ts';
import type { CallOff } from '../device/surroundings.ts';
import type { Chance } from '../kernel/chance.ts';
import type { Oracle } from '../oracle/oracle.ts';
import type { FaultName } from './faults.ts';
import type { Member } from './member.ts';
import type { Recorder } from './recorder.ts';

/**
 * What scenarios, operators and the faults of devices need of a world: a simulated one in `swarm`, a real server behind
 * real sockets in `live`. Times are the scenario's own.
 */
export interface Stage {
  readonly options: { readonly devices: number; readonly campaignEveryDays: number };
  readonly kernel: { readonly nowMs: number; after(delayMs: number, run: () => void): CallOff };
  /** Draws of what goes wrong are apart from draws of the devices, so that leaving a device out changes little. */
  readonly chance: Readonly<Record<'faults' | 'fleet' | 'operator', Chance>>;
  readonly recorder: Recorder;
  readonly oracle: Oracle;
  readonly members: Member[];
  readonly network: { outage(forMs: number): void };
  readonly servers: { readonly hasBackup: boolean; backUp(): void; restore(done: () => void): void };
  readonly broker: { restart(): void; goBack(device: Device): void };
  /** Faults may strike. */
  readonly stormy: boolean;
  /** Whether this kind of fault may strike now. */
  on(name: FaultName): boolean;
  /** Whether it strikes, at its rate times `share`. */
  strikes(name: FaultName, share?: number): boolean;
  powerUp(number: number, killed?: boolean): void;
  /** How far a device's wall clock is off from now on. */
  setClock(member: Member, offsetMs: number): void;
  /** A device with these traits, on a medium of its own or a copied one; still without power. */
  bear(traits: DeviceTraits, medium?: Medium): Device;
  /** An order at the server. `json` null: none. */
  order(
    method: RelayRequest['method'],
    path: string,
    json: object | null,
    answered: (answer: RelayAnswer | null) => void,
  ): void;
}

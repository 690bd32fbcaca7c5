import type { ApiKey, Sha256 } from '../key.ts';
import { apiKey, fingerprintOf, KEY_FORM_HEX } from '../key.ts';
import type { Nvs } from '../nvs.ts';
import { openSlots } from '../slots.ts';
import type { Power } from './power.ts';
import { copyPower, isPowerCut, steadyPower } from './power.ts';
import type { CutSubject } from './schedules.ts';

/** A medium of `cutFlash` or `cutFiles`, or one of your own with the same four. */
export interface CutMedium<Self> {
  power: Power;
  reboot(variant: number): void;
  copy(power: Power): Self;
  fingerprint(): string;
}

export interface CredentialSubjectOptions<Medium> {
  medium: Medium;
  /** How many variants the medium's `reboot` knows. */
  variants: number;
  /** The store under test, opened over the medium as at boot. */
  openStore(medium: Medium): Nvs;
  sha256: Sha256;
  /** Whole rotations to drive through: provisioned → staged → proven → settled. */
  updates: number;
  /**
   * A text that is equal for media the store cannot tell apart, so that thousands of torn ends are gone through once.
   * By default the medium's fingerprint.
   */
  meaning?: (medium: Medium) => string;
}

/** The server's side: which key it accepts. It is as unforgiving as the rules allow. */
interface World {
  /** Fingerprint of the key that works, or an empty text before enrolment was complete. */
  active: string;
  generation: number;
}

function keyOf(generation: number): ApiKey {
  const bytes = new Uint8Array(32);
  for (let i = 0; i < 32; i++) bytes[i] = (generation * 41 + i * 7 + 3) & 255;
  return apiKey(KEY_FORM_HEX, bytes);
}

/**
 * A device that goes through whole rotations on a store, for `exploreCuts`. The server in it revokes the old key in
 * the very moment the candidate is used, and the candidate is used as soon as it was staged; so a store that says
 * "staged" before the candidate is durable, or hurts one slot while it writes the other, is found.
 */
export function credentialSubject<Medium extends CutMedium<Medium>>(
  options: CredentialSubjectOptions<Medium>,
): CutSubject {
  const wrap = function (medium: Medium, world: World): CutSubject {
    const boot = function (onMedium: Medium): ReturnType<typeof openSlots> {
      return openSlots(options.openStore(onMedium), options.sha256);
    };
    const drive = function (): void {
      const slots = boot(medium);
      for (;;) {
        const view = slots.look();
        if (view.candidate) {
          if (view.candidate.generation > world.generation) {
            world.generation = view.candidate.generation;
            world.active = view.candidate.fingerprint;
          }
          if (!slots.settle(world.active)) throw new Error('no slot holds the key that works');
        } else if (view.base && !view.mirrored) slots.settle(view.base.fingerprint);
        else if (!view.base) {
          if (world.active) throw new Error('both slots are lost');
          slots.provision(keyOf(1), 1);
        } else {
          if (!world.active) {
            world.active = view.base.fingerprint;
            world.generation = 1;
          }
          if (world.generation > options.updates) return;
          const next = world.generation + 1;
          const outcome = slots.stage(keyOf(next), next, view.base.fingerprint);
          if (outcome !== 'staged') throw new Error('staging was answered with ' + outcome);
        }
      }
    };
    const inspect = function (probe: Medium): string {
      const view = boot(probe).look();
      const held = [view.base, view.candidate];
      let working = false;
      for (let i = 0; i < held.length; i++) {
        const record = held[i];
        if (!record) continue;
        if (record.fingerprint !== fingerprintOf(options.sha256, record.key)) return 'a slot holds a mix of two keys';
        if (record.fingerprint !== fingerprintOf(options.sha256, keyOf(record.generation)))
          return 'a slot holds an unknown key';
        if (record.fingerprint === world.active) working = true;
      }
      return working || !world.active ? '' : 'bricked: no slot holds the key that the server accepts';
    };
    return {
      power: medium.power,
      variants: options.variants,
      drive: drive,
      reboot: function (variant) {
        medium.reboot(variant);
      },
      check: function () {
        try {
          return inspect(medium.copy(steadyPower()));
        } catch (error) {
          if (isPowerCut(error)) throw error;
          return 'the store does not open: ' + (error as Error).message;
        }
      },
      copy: function () {
        return wrap(medium.copy(copyPower(medium.power)), { active: world.active, generation: world.generation });
      },
      fingerprint: function () {
        return world.active + ':' + (options.meaning ? options.meaning(medium) : medium.fingerprint());
      },
    };
  };
  return wrap(options.medium, { active: '', generation: 0 });
}

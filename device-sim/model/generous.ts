import type { RotationEvent, SlotKey } from './device-tables.ts';
import { told } from './server-moves.ts';
import type { DeviceSide, Network, Request, World } from './world.ts';

/** In a generous world: every request a device with these slots could have sent. */
export function impliedRequests(slots: DeviceSide['slots']): Request[] {
  const keys = slots.filter((slot): slot is SlotKey => slot !== null);
  const requests: Request[] = [];
  for (const record of keys) {
    requests.push({ kind: 'commit', by: record.fingerprint });
    requests.push({ kind: 'register', by: null, record, recovery: true });
    const other = keys.find((key) => key.fingerprint !== record.fingerprint);
    if (other === undefined || other.generation > record.generation) continue;
    requests.push({ kind: 'register', by: other.fingerprint, record, recovery: false });
    requests.push({ kind: 'register', by: other.fingerprint, record, recovery: true });
  }
  return requests;
}

/**
 * In a generous world: every answer that could be on its way to the device, apart from old wishes and handed keys, which
 * the network keeps. A key that was ever active or is revoked may have been accepted, a key that is known registered.
 */
export function impliedAnswers(world: World): RotationEvent[] {
  const { device, server } = world;
  const answers: RotationEvent[] = told(server).filter((answer) => answer.kind === 'settled');
  for (const key of [device.agent.base, device.agent.candidate]) {
    const state = key === null ? undefined : server.keys[key.fingerprint];
    if (key === null || state === undefined) continue;
    answers.push({ kind: 'registered', fingerprint: key.fingerprint });
    if (state !== 'pending') answers.push({ kind: 'accepted', fingerprint: key.fingerprint });
  }
  return answers;
}

/** What of the newly sent is to be kept: not what is implied anyway. */
export function exceptImplied(sent: Network, slots: DeviceSide['slots']): Network {
  const held = slots.map((slot) => slot?.fingerprint);
  return {
    requests: sent.requests.filter((request) => {
      if (request.kind === 'ask') return true;
      return !held.includes(request.kind === 'commit' ? request.by : request.record.fingerprint);
    }),
    answers: sent.answers.filter((answer) => answer.kind === 'wanted' || answer.kind === 'candidate'),
  };
}

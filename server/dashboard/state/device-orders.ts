import type { RotationAnswer } from '#sdk/protocol';

/** What an operator can order in a state, as the server's table of rotations has it. */
export type DeviceOrder =
  | 'rotate'
  | 'abort'
  | 'roll-back'
  | 'quarantine'
  | 'release'
  | 'approve'
  | 'issue'
  | 'reprovision'
  | 'lose'
  | 'remove';

/** The orders that make sense now, the likeliest first. The server has the last word. */
export function ordersFor(rotation: Pick<RotationAnswer, 'state' | 'source' | 'proposals'>): DeviceOrder[] {
  switch (rotation.state) {
    case 'IDLE':
      return ['rotate', 'quarantine', 'lose', 'remove'];
    case 'WANTED':
    case 'OVERDUE':
      return [...(rotation.source === 'manual' ? (['issue'] as const) : []), 'abort', 'quarantine', 'lose', 'remove'];
    case 'MINTED':
      return ['abort', 'quarantine', 'lose', 'remove'];
    case 'PROVEN':
      return ['roll-back', 'quarantine', 'lose', 'remove'];
    case 'QUARANTINED':
      return [...(rotation.proposals.length > 0 ? (['approve'] as const) : []), 'release', 'lose', 'remove'];
    case 'LOST':
      return ['reprovision', 'remove'];
    default:
      return [];
  }
}

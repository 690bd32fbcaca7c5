import type { RotationCommand } from '#server';
import type { DeviceEnd } from './device-moves.ts';
import type { RotationEvent } from './device-tables.ts';
import type { ServerEnd } from './server-moves.ts';

/** What reaches the device, as the beginning of a sentence. */
function heard(event: RotationEvent): string {
  switch (event.kind) {
    case 'booted':
      return 'The power is cut and comes back: the device boots from its two slots';
    case 'provisioned':
      return 'An operator puts a new key into both slots of the device';
    case 'written':
      return 'A slot write ends';
    case 'wanted':
      return `The device is told that a key of generation ${event.generation} is wanted, to replace ${event.base}`;
    case 'recoverable':
      return `The device is told that it may recover under generation ${event.generation}`;
    case 'candidate':
      return `The device receives ${event.fingerprint}, generation ${event.generation}, to replace ${event.base}`;
    case 'registered':
      return `The device hears that ${event.fingerprint} is registered`;
    case 'accepted':
      return `The device hears that the server took a request under ${event.fingerprint}`;
    case 'settled':
      return `The device hears that generation ${event.generation} is settled`;
    case 'revoked':
      return `The device hears that ${event.fingerprint} is revoked`;
    case 'unknown':
      return `The device gets a 401 for ${event.fingerprint} that does not say it is revoked`;
    case 'failed':
      return 'The device waits for an answer in vain';
    case 'due':
      return 'The device wakes up';
  }
}

/** One sentence on an event at the device and how it ended. */
export function tellDeviceMove(event: RotationEvent, end: DeviceEnd): string {
  const parts = [heard(event)];
  if (end.wrote.length > 0) parts.push(`it writes ${end.wrote.join(', then ')}`);
  if (end.cut === 'torn') parts.push('and the power is cut inside the write');
  if (end.cut === 'before') parts.push('and the power is cut before the write');
  const sent = end.sent.map((request) => {
    if (request.kind === 'register') return `registers ${request.record.fingerprint}`;
    if (request.kind === 'ask') return `asks for its key of generation ${request.generation}`;
    return `sends a request under ${request.by}`;
  });
  if (sent.length > 0) parts.push(`it ${[...new Set(sent)].join(' and ')}`);
  const held = end.device.slots.map((slot) => slot?.fingerprint ?? 'nothing valid');
  return `${parts.join('; ')}. Its slots hold ${held.join(' and ')}.`;
}

function asked(command: RotationCommand): string {
  switch (command.kind) {
    case 'select':
      return 'The operator starts a rotation';
    case 'register':
      return `The registration of ${command.fingerprint} for generation ${command.generation} reaches the server`;
    case 'ask':
      return `The device's request for its key of generation ${command.generation} reaches the server`;
    case 'issue':
      return `The operator makes ${command.fingerprint} by hand and takes it to the device`;
    case 'commit':
    case 'contact':
      return `A request under ${command.by} reaches the server and is committed`;
    case 'tick':
      return 'Time passes at the server';
    case 'abort':
      return 'The operator aborts';
    case 'rollBack':
      return 'The operator rolls back';
    case 'quarantine':
      return 'The operator quarantines the device';
    case 'lose':
      return 'The operator declares the device lost';
    case 'release':
      return 'The operator releases the device from quarantine';
    case 'approve':
      return `The operator approves ${command.fingerprint}`;
    case 'recover':
      return `The recovery proof for ${command.fingerprint} reaches the server`;
    case 'reprovision':
      return `The device is provisioned again, with ${command.fingerprint}`;
    case 'remove':
      return 'The device is deleted';
  }
}

/** What the server made of it: the arrow, and the keys that changed. */
function became(end: Pick<ServerEnd, 'outcome'>): string {
  const { outcome } = end;
  const arrow = outcome.kind === 'moved' ? ` ${outcome.expect.state} → ${outcome.row.state}.` : '';
  const keys = outcome.keys.map((change) => `${change.fingerprint} is ${change.to}`);
  return `.${arrow}${keys.length > 0 ? ` Now ${keys.join(', ')}.` : ''}`;
}

/** One sentence or two on a command at the server. */
export function tellServerMove(command: RotationCommand, end: Pick<ServerEnd, 'outcome'>): string {
  return asked(command) + became(end);
}

/** One sentence on a decision that was taken on what was read, and is not stored yet. */
export function tellDecision(name: string, end: Pick<ServerEnd, 'outcome'>): string {
  const what = name === 'abort' ? 'abort' : 'roll back';
  return `The operator asks to ${what}: the server reads ${end.outcome.expect.state}, decides, and has not stored it yet.`;
}

export function tellStored(name: string, end: Pick<ServerEnd, 'outcome'>): string {
  return `The server stores what it decided${name === 'abort' ? ' for the abort' : ' for the roll-back'}${became(end)}`;
}

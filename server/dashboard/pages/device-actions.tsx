import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { FleetDeviceAnswer, RotationAnswer } from '#sdk/protocol';
import * as api from '../api/fleet.ts';
import { fingerprintText } from '../format/numbers.ts';
import { Button, ButtonLink } from '../parts/button.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { ShownOnce } from '../parts/form-dialog.tsx';
import { type DeviceOrder, ordersFor } from '../state/device-orders.ts';
import { go, href } from '../state/route.ts';
import { say } from '../state/toasts.ts';

const BUTTONS: Readonly<Record<DeviceOrder, string>> = {
  rotate: 'Rotate the key',
  abort: 'Call the rotation off',
  'roll-back': 'Roll back',
  quarantine: 'Quarantine',
  release: 'Release',
  approve: 'Approve its key',
  issue: 'Draw the key',
  reprovision: 'Provision again',
  lose: 'Give up for lost',
  remove: 'Remove',
};

interface Words {
  title: (name: string) => string;
  text: string;
  danger: boolean;
  asksReason?: boolean;
}

const WORDS: Readonly<Record<DeviceOrder, Words>> = {
  rotate: {
    title: (name) => `Rotate the key of ${name}?`,
    text: 'It is asked for a new key at its next contact. The old one goes on until the new one has proven itself, so it is never locked out.',
    danger: false,
  },
  abort: {
    title: (name) => `Call the rotation of ${name} off?`,
    text: 'A staged key is revoked; the present one stays.',
    danger: true,
  },
  'roll-back': {
    title: (name) => `Take ${name} back to its old key?`,
    text: 'The new key is revoked and the old one is the active key again.',
    danger: true,
  },
  quarantine: {
    title: (name) => `Quarantine ${name}?`,
    text: 'Its key may report and stage another one, and nothing else. Out leads its recovery secret, or your approval of a new key.',
    danger: true,
    asksReason: true,
  },
  release: { title: (name) => `Trust the key of ${name} again?`, text: 'The quarantine ends.', danger: false },
  approve: {
    title: (name) => `Approve a key of ${name}?`,
    text: 'Compare the fingerprint with what the device itself shows. Whoever has that key is the device from then on.',
    danger: true,
  },
  issue: {
    title: (name) => `Draw the key for ${name}?`,
    text: 'You see it once and carry it to the device by your own means. Its first use there is the proof.',
    danger: false,
  },
  reprovision: {
    title: (name) => `Provision ${name} again?`,
    text: 'It gets a new key and a new recovery secret, which you put on it by hand.',
    danger: false,
  },
  lose: {
    title: (name) => `Give ${name} up for lost?`,
    text: 'Every key of it is revoked at once. It can only come back by hand.',
    danger: true,
    asksReason: true,
  },
  remove: {
    title: (name) => `Remove ${name}?`,
    text: 'Every key of it is revoked and it leaves the fleet. Its story stays in the audit.',
    danger: true,
  },
};

/** What can be done with a device's key, each with what it means before it is done. */
export function DeviceActions({
  device,
  rotation,
  onChanged,
}: {
  device: FleetDeviceAnswer;
  rotation: RotationAnswer;
  onChanged: () => void;
}) {
  const [order, setOrder] = useState<DeviceOrder | null>(null);
  const [issued, setIssued] = useState<api.IssuedKeyAnswer | null>(null);
  const carryOut = async (what: DeviceOrder, with_: { reason: string; fingerprint: string }) => {
    const answer = await send(device.id, what, with_);
    if (answer !== null) setIssued(answer);
    say('done', `${device.name}: ${BUTTONS[what].toLowerCase()}, done.`);
    if (what === 'remove') go(href('devices'), { replace: true });
    else onChanged();
  };
  return (
    <div class="actions wrap">
      {ordersFor(rotation).map((one) => (
        <Button
          key={one}
          kind={one === 'rotate' || one === 'reprovision' ? 'main' : 'plain'}
          onClick={() => setOrder(one)}
        >
          {BUTTONS[one]}
        </Button>
      ))}
      {rotation.state === 'GONE' || rotation.state === 'LOST' ? null : (
        <ButtonLink kind="danger" href={href('incident', null, { key: device.id })}>
          Its key is out
        </ButtonLink>
      )}
      {order === null ? null : (
        <OrderDialog
          order={order}
          device={device}
          rotation={rotation}
          onConfirm={(with_) => carryOut(order, with_)}
          onClose={() => setOrder(null)}
        />
      )}
      {issued === null ? null : <Issued issued={issued} name={device.name} onClose={() => setIssued(null)} />}
    </div>
  );
}

async function send(
  id: string,
  order: DeviceOrder,
  with_: { reason: string; fingerprint: string },
): Promise<api.IssuedKeyAnswer | null> {
  switch (order) {
    case 'issue':
      return api.issueKey(id);
    case 'reprovision':
      return api.reprovisionDevice(id);
    case 'remove':
      await api.removeDevice(id);
      return null;
    case 'quarantine':
    case 'lose':
      await api.orderDevice(id, order, { reason: with_.reason });
      return null;
    case 'approve':
      await api.orderDevice(id, order, { fingerprint: with_.fingerprint });
      return null;
    default:
      await api.orderDevice(id, order);
      return null;
  }
}

function OrderDialog({
  order,
  device,
  rotation,
  onConfirm,
  onClose,
}: {
  order: DeviceOrder;
  device: FleetDeviceAnswer;
  rotation: RotationAnswer;
  onConfirm: (with_: { reason: string; fingerprint: string }) => Promise<void>;
  onClose: () => void;
}) {
  const words = WORDS[order];
  const [reason, setReason] = useState('');
  const [fingerprint, setFingerprint] = useState(rotation.proposals[0]?.fingerprint ?? '');
  const extra: ComponentChildren = words.asksReason ? (
    <TextField
      label="Reason"
      value={reason}
      onInput={setReason}
      maxLength={200}
      hint="It is told in the device's story."
    />
  ) : order === 'approve' ? (
    <SelectField
      label="Key it has staged"
      value={fingerprint}
      options={rotation.proposals.map((one) => [one.fingerprint, fingerprintText(one.fingerprint)] as const)}
      onChange={setFingerprint}
    />
  ) : null;
  return (
    <Confirm
      title={words.title(device.name)}
      action={BUTTONS[order]}
      kind={words.danger ? 'danger' : 'main'}
      onConfirm={() => onConfirm({ reason: reason.trim() || 'by hand', fingerprint })}
      onClose={onClose}
    >
      <p>{words.text}</p>
      {extra}
    </Confirm>
  );
}

function Issued({ issued, name, onClose }: { issued: api.IssuedKeyAnswer; name: string; onClose: () => void }) {
  return (
    <ShownOnce
      title={`The key for ${name}`}
      warning="Shown only now. The server does not keep it."
      saved={issued.recovery_secret === undefined ? 'I have saved it' : 'I have saved them'}
      onClose={onClose}
    >
      <h3>API key, generation {issued.generation}</h3>
      <Copyable text={issued.key} what="the device's API key" secret />
      {issued.recovery_secret === undefined ? null : (
        <>
          <h3>Recovery secret</h3>
          <Copyable text={issued.recovery_secret} what="the recovery secret" secret />
        </>
      )}
    </ShownOnce>
  );
}

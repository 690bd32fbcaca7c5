import { useState } from 'preact/hooks';
import type { KeyAnswer, KeyRevokedAnswer } from '#sdk/protocol';
import { revokeKey } from '../api/account.ts';
import { countText } from '../format/numbers.ts';
import { Button } from '../parts/button.tsx';
import { Confirm, Dialog } from '../parts/dialog.tsx';
import { Checkbox } from '../parts/field.tsx';
import { href } from '../state/route.ts';
import { say } from '../state/toasts.ts';

/** Revokes a key, having said whom that locks out, and then what was sent with it. */
export function RevokeDialog({
  of,
  isLast,
  isOwn,
  onClose,
  onRevoked,
}: {
  of: KeyAnswer;
  isLast: boolean;
  isOwn: boolean;
  onClose: () => void;
  onRevoked: () => void;
}) {
  const [burn, setBurn] = useState(false);
  const [understood, setUnderstood] = useState(false);
  const [revoked, setRevoked] = useState<KeyRevokedAnswer | null>(null);
  const locksOut = isLast || isOwn;
  if (revoked !== null) return <Sent of={revoked} onClose={onClose} />;
  return (
    <Confirm
      title={`Revoke ${of.name}?`}
      action="Revoke"
      onConfirm={async () => {
        if (locksOut && !understood) throw new Error('Confirm first that you know what it locks out.');
        const answer = await revokeKey(of.id, { last: isLast, burn });
        say('done', `${of.name} is revoked: its next request is refused.`);
        onRevoked();
        if (answer.sent_total === 0) return 'close';
        setRevoked(answer);
        return 'stay';
      }}
      onClose={onClose}
    >
      <p>Whatever uses it is refused from its very next request on. This cannot be taken back.</p>
      {isLast ? (
        <p class="notice bad">
          <strong>This is the last active key.</strong> Nobody can sign in or send any more; only{' '}
          <code>fuselink-server key create</code> on the server makes another.
        </p>
      ) : isOwn ? (
        <p class="notice bad">
          <strong>You signed in with this key.</strong> You are signed out at once, and need another key to come back.
        </p>
      ) : null}
      {locksOut ? <Checkbox label="I know that this locks me out" on={understood} onChange={setUnderstood} /> : null}
      <Checkbox label="Also burn what was sent with it and nobody has read yet" on={burn} onChange={setBurn} />
    </Confirm>
  );
}

function Sent({ of, onClose }: { of: KeyRevokedAnswer; onClose: () => void }) {
  return (
    <Dialog title={`${of.name} is revoked`} onClose={onClose}>
      <div class="dialog-body">
        <p>
          {countText(of.sent_total, 'file')} had been sent with it
          {of.burned === 0 ? '.' : `; ${countText(of.burned, 'unread one')} burned with it.`} Tell their recipients if
          the key was in wrong hands.
        </p>
        <a href={href('transfers', null, { key: of.id })}>Look at them</a>
      </div>
      <footer class="dialog-foot">
        <Button kind="main" onClick={onClose}>
          Close
        </Button>
      </footer>
    </Dialog>
  );
}

import { useState } from 'preact/hooks';
import type { KeyAnswer, KeyCreatedAnswer, Role } from '#sdk/protocol';
import * as api from '../api/account.ts';
import { fieldError, wordsOf } from '../api/calls.ts';
import { rotationWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button, ButtonLink } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Empty } from '../parts/empty.tsx';
import { Failure, Waiting } from '../parts/failure.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { Time, TimeOr } from '../parts/time.tsx';
import { sendCommand } from '../state/commands.ts';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';
import { mayChange, who } from '../state/session.ts';
import { RevokeDialog } from './revoke-dialog.tsx';

const ACTIVE_MAX = 10;

/** Keys of the account: devices and gateways have their own, shown with them. */
export function Keys() {
  const { value, error, reload } = useLoaded('keys', () => api.listKeys({ kind: 'account' }));
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<KeyAnswer | null>(null);
  useLive(({ action }) => action.startsWith('key.'), reload);
  const keys = value?.keys ?? [];
  const active = keys.filter(({ state }) => state !== 'revoked');
  const revoked = keys.filter(({ state }) => state === 'revoked');
  return (
    <Page
      title="API keys"
      actions={
        mayChange.value ? (
          <>
            <ButtonLink kind="danger" href={href('incident')}>
              A key is out
            </ButtonLink>
            <Button kind="main" disabled={active.length >= ACTIVE_MAX} onClick={() => setCreating(true)}>
              Generate a key
            </Button>
          </>
        ) : undefined
      }
    >
      {value === null ? (
        error === null ? (
          <Waiting what="the keys" />
        ) : (
          <Failure text={wordsOf(error)} retry={reload} />
        )
      ) : (
        <>
          <Card
            title={`Active, ${active.length} of ${ACTIVE_MAX}`}
            about="A key alone sends and reads; what changes keys, people and campaigns needs a sign-in as well."
          >
            <ul class="rows">
              {active.map((key) => (
                <KeyRow key={key.id} of={key} onRevoke={mayChange.value ? () => setRevoking(key) : undefined} />
              ))}
            </ul>
          </Card>
          {revoked.length === 0 ? null : (
            <Card title="Revoked">
              <ul class="rows">
                {revoked.map((key) => (
                  <KeyRow key={key.id} of={key} onRevoke={undefined} />
                ))}
              </ul>
            </Card>
          )}
          {active.length > 1 ? null : (
            <Card title="Use a key">
              <Empty title="Send a file with it" command={sendCommand('KEY')}>
                <p>
                  For a device, <a href={href('devices', null, { enrol: 'yes' })}>enrol it</a>: its key is its own, and
                  can be rotated from here.
                </p>
              </Empty>
            </Card>
          )}
        </>
      )}
      {creating ? <CreateDialog onClose={() => setCreating(false)} onCreated={reload} /> : null}
      {revoking === null ? null : (
        <RevokeDialog
          of={revoking}
          isLast={active.length === 1}
          isOwn={who.value?.key_id === revoking.id}
          onClose={() => setRevoking(null)}
          onRevoked={reload}
        />
      )}
    </Page>
  );
}

function KeyRow({ of, onRevoke }: { of: KeyAnswer; onRevoke: (() => void) | undefined }) {
  return (
    <li class="row">
      <span class="two grow">
        <strong>{of.name}</strong>
        <span class="soft">
          <code>{of.prefix}…</code> · {of.role}
          {who.value?.key_id === of.id ? ' · you signed in with it' : ''}
        </span>
      </span>
      <span class="two">
        <span>
          Last used <TimeOr at={of.last_used_at} otherwise="never" />
        </span>
        <span class="soft">
          Made <Time at={of.created_at} />
        </span>
      </span>
      {of.revoked_at !== null ? (
        <span class="soft">
          Revoked <Time at={of.revoked_at} />
        </span>
      ) : of.state !== 'active' ? (
        <Badge words={rotationWords(of.state)} />
      ) : null}
      {onRevoke === undefined ? null : (
        <Button kind="danger" onClick={onRevoke} label={`Revoke ${of.name}`}>
          Revoke
        </Button>
      )}
    </li>
  );
}

const ROLES_TEXT: readonly (readonly [Role, string])[] = [
  ['owner', 'owner: everything'],
  ['operator', 'operator: sends, reads, runs the fleet'],
  ['auditor', 'auditor: looks only'],
];

const RANK: readonly Role[] = ['auditor', 'operator', 'owner'];

/** The roles one may give: at most one's own. */
export function rolesUpTo(role: Role): (readonly [Role, string])[] {
  return ROLES_TEXT.filter(([one]) => RANK.indexOf(one) <= RANK.indexOf(role));
}

function CreateDialog({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('operator');
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const [created, setCreated] = useState<KeyCreatedAnswer | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailed(null);
    try {
      setCreated(await api.createKey({ name, role }));
      onCreated();
    } catch (error) {
      setFailed(error);
      setBusy(false);
    }
  };
  if (created !== null) {
    return (
      <Dialog title="Your new key" onClose={onClose} locked>
        <div class="dialog-body">
          <p class="notice warn">It is shown only now: the server keeps a digest, not the key.</p>
          <Copyable text={created.key} what="the new key" secret />
          <p class="hint">Begins with {created.prefix}; that is how you find it in the list.</p>
        </div>
        <footer class="dialog-foot">
          <Button kind="main" onClick={onClose}>
            I have saved it
          </Button>
        </footer>
      </Dialog>
    );
  }
  return (
    <Dialog title="Generate a key" onClose={onClose}>
      <form onSubmit={submit}>
        <div class="dialog-body">
          <TextField
            label="Name"
            value={name}
            onInput={setName}
            maxLength={100}
            hint="What it is for, e.g. nightly export"
            error={fieldError(failed, 'name')}
            required
          />
          <SelectField
            label="Role"
            value={role}
            options={rolesUpTo(who.value?.role ?? 'auditor')}
            onChange={(value) => setRole(value as Role)}
          />
          {failed === null ? null : <Failure text={wordsOf(failed)} />}
        </div>
        <footer class="dialog-foot">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit" busy={busy}>
            Generate
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

import { useState } from 'preact/hooks';
import type { KeyAnswer, KeyCreatedAnswer, Role } from '#sdk/protocol';
import * as api from '../api/account.ts';
import { fieldError } from '../api/calls.ts';
import { rotationWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button, ButtonLink } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Empty } from '../parts/empty.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { FormDialog, ShownOnce } from '../parts/form-dialog.tsx';
import { Page } from '../parts/page.tsx';
import { Time, TimeOr } from '../parts/time.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { sendCommand } from '../state/commands.ts';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';
import { mayChange, who } from '../state/session.ts';
import { useSubmission } from '../state/submission.ts';
import { RevokeDialog } from './revoke-dialog.tsx';

const ACTIVE_MAX = 10;

/** Keys of the account: devices and gateways have their own, shown with them. */
export function Keys() {
  const loaded = useLoaded('keys', () => api.listKeys({ kind: 'account' }));
  const { reload } = loaded;
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<KeyAnswer | null>(null);
  useLive(({ action }) => action.startsWith('key.'), reload);
  const keys = loaded.value?.keys ?? [];
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
      <WhenLoaded of={loaded} what="the keys">
        {() => (
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
                    For a device, <a href={href('devices', null, { enrol: 'yes' })}>enrol it</a>: its key is its own,
                    and can be rotated from here.
                  </p>
                </Empty>
              </Card>
            )}
          </>
        )}
      </WhenLoaded>
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
  const [created, setCreated] = useState<KeyCreatedAnswer | null>(null);
  const form = useSubmission(async () => {
    setCreated(await api.createKey({ name, role }));
    onCreated();
  });
  const { failed } = form;
  if (created !== null) {
    return (
      <ShownOnce
        title="Your new key"
        warning="It is shown only now: the server keeps a digest, not the key."
        onClose={onClose}
      >
        <Copyable text={created.key} what="the new key" secret />
        <p class="hint">Begins with {created.prefix}; that is how you find it in the list.</p>
      </ShownOnce>
    );
  }
  return (
    <FormDialog title="Generate a key" action="Generate" form={form} onClose={onClose}>
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
    </FormDialog>
  );
}

import { useState } from 'preact/hooks';
import type { Role, UserAnswer } from '#sdk/protocol';
import * as api from '../api/account.ts';
import { fieldError } from '../api/calls.ts';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Confirm, Dialog } from '../parts/dialog.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { FormDialog } from '../parts/form-dialog.tsx';
import { TimeOr } from '../parts/time.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';
import { isOwner, who } from '../state/session.ts';
import { setUpLinkFor } from '../state/set-up.ts';
import { useSubmission } from '../state/submission.ts';
import { attempt, say } from '../state/toasts.ts';
import { rolesUpTo } from './keys.tsx';

type Asked = { what: 'remove' | 'reset'; user: UserAnswer };

/** Who signs in to the account, and as what. */
export function People() {
  const loaded = useLoaded('people', api.listUsers);
  const { reload } = loaded;
  const [adding, setAdding] = useState(false);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [link, setLink] = useState<{ email: string; setup_secret: string } | null>(null);
  const change = async (user: UserAnswer, role: Role) => {
    await attempt(() => api.setRole(user.id, role), `${user.email} is ${role} now.`);
    reload();
  };
  return (
    <Card
      title="People"
      about={isOwner.value ? undefined : 'Owners add people and change their roles.'}
      actions={isOwner.value ? <Button onClick={() => setAdding(true)}>Add a person</Button> : undefined}
    >
      <WhenLoaded of={loaded} what="the people">
        {(value) => (
          <ul class="rows">
            {value.users.map((user) => (
              <Person
                key={user.id}
                user={user}
                onRole={(role) => void change(user, role)}
                onAsk={(what) => setAsked({ what, user })}
              />
            ))}
          </ul>
        )}
      </WhenLoaded>
      {adding ? (
        <AddDialog
          onClose={() => setAdding(false)}
          onAdded={(user) => {
            setAdding(false);
            setLink(user);
            reload();
          }}
        />
      ) : null}
      {asked === null ? null : (
        <Ask
          asked={asked}
          onClose={() => setAsked(null)}
          onDone={(shown) => {
            setLink(shown);
            reload();
          }}
        />
      )}
      {link === null ? null : <LinkDialog person={link} onClose={() => setLink(null)} />}
    </Card>
  );
}

function Person({
  user,
  onRole,
  onAsk,
}: {
  user: UserAnswer;
  onRole: (role: Role) => void;
  onAsk: (what: Asked['what']) => void;
}) {
  const own = user.email === who.value?.email;
  return (
    <li class="row">
      <span class="two grow">
        <strong>{user.email}</strong>
        <span class="soft">
          {user.second_factor === 'enrolled' ? 'authenticator set up' : 'authenticator not set up yet'}
          {own ? ' · you' : ''}
        </span>
      </span>
      <span class="soft">
        Last sign-in <TimeOr at={user.last_sign_in_at} otherwise="never" />
      </span>
      {isOwner.value && !own ? (
        <>
          <SelectField
            label={`Role of ${user.email}`}
            value={user.role}
            options={rolesUpTo('owner').map(([role]) => [role, role] as const)}
            onChange={(role) => onRole(role as Role)}
          />
          <Button onClick={() => onAsk('reset')} label={`Reset authenticator of ${user.email}`}>
            Reset authenticator
          </Button>
          <Button kind="danger" onClick={() => onAsk('remove')} label={`Remove ${user.email}`}>
            Remove
          </Button>
        </>
      ) : (
        <span>{user.role}</span>
      )}
    </li>
  );
}

function Ask({
  asked: { what, user },
  onClose,
  onDone,
}: {
  asked: Asked;
  onClose: () => void;
  onDone: (link: { email: string; setup_secret: string } | null) => void;
}) {
  return what === 'remove' ? (
    <Confirm
      title={`Remove ${user.email}?`}
      action="Remove"
      onConfirm={async () => {
        await api.removeUser(user.id);
        say('done', `${user.email} was removed.`);
        onDone(null);
      }}
      onClose={onClose}
    >
      <p>Every session of theirs ends with the next request. Keys they were shown stay valid: revoke those as well.</p>
    </Confirm>
  ) : (
    <Confirm
      title={`Reset the authenticator of ${user.email}?`}
      action="Reset"
      onConfirm={async () => onDone(await api.resetSecondFactor(user.id))}
      onClose={onClose}
    >
      <p>Their authenticator and recovery codes are worth nothing from now on, and every session of theirs ends.</p>
    </Confirm>
  );
}

function AddDialog({
  onClose,
  onAdded,
}: {
  onClose: () => void;
  onAdded: (user: { email: string; setup_secret: string }) => void;
}) {
  const [email, setEmail] = useState('');
  const [role, setRole] = useState<Role>('operator');
  const form = useSubmission(async () => {
    onAdded(await api.addUser({ email, role }));
  });
  const { failed } = form;
  return (
    <FormDialog title="Add a person" action="Add" form={form} onClose={onClose}>
      <TextField
        label="E-mail"
        type="email"
        value={email}
        onInput={setEmail}
        error={fieldError(failed, 'email')}
        required
      />
      <SelectField
        label="Role"
        value={role}
        options={rolesUpTo('owner')}
        onChange={(value) => setRole(value as Role)}
      />
    </FormDialog>
  );
}

function LinkDialog({ person, onClose }: { person: { email: string; setup_secret: string }; onClose: () => void }) {
  return (
    <Dialog title={`A link for ${person.email}`} onClose={onClose} locked>
      <div class="dialog-body">
        <p>
          Send it to them. It leads through setting up the authenticator, and is worth nothing once the first code was
          accepted. They also need an API key of the account: give them that by another way.
        </p>
        <Copyable text={setUpLinkFor(href('set-up'), person)} what="the set-up link" secret />
        <p class="notice warn">It is shown only now.</p>
      </div>
      <footer class="dialog-foot">
        <Button kind="main" onClick={onClose}>
          I have saved it
        </Button>
      </footer>
    </Dialog>
  );
}

import { useState } from 'preact/hooks';
import * as api from '../api/account.ts';
import { fieldError, wordsOf } from '../api/calls.ts';
import { AuthenticatorSteps } from '../parts/authenticator.tsx';
import { Button } from '../parts/button.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Failure } from '../parts/failure.tsx';
import { TextField } from '../parts/field.tsx';
import { Mark } from '../parts/mark.tsx';
import { go, href } from '../state/route.ts';
import { enter } from '../state/session.ts';
import { readSetUpLink, type SetUpLink } from '../state/set-up.ts';
import { useSubmission } from '../state/submission.ts';
import { say } from '../state/toasts.ts';

interface Made {
  email: string;
  apiKey: string;
  /** The key was made just now, and is shown only here. */
  newKey: boolean;
  totpUri: string;
  qrSvg: string;
  recoveryCodes: string[];
}

/** Takes the secret out of the address at once: it must not stay in the history or on a shared screen. */
function takeLink(): SetUpLink {
  const link = readSetUpLink(location.hash);
  if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);
  return link;
}

export function SetUp() {
  const [link] = useState(takeLink);
  const [made, setMade] = useState<Made | null>(null);
  return (
    <main class="alone">
      <div class="card narrow">
        <p class="brand">
          <Mark />
          <span>Fuselink</span>
        </p>
        {made !== null ? (
          <Finish made={made} />
        ) : link.kind === 'first' ? (
          <FirstAccount secret={link.secret} onMade={setMade} />
        ) : (
          <Identify link={link} onMade={setMade} />
        )}
      </div>
    </main>
  );
}

function FirstAccount({ secret, onMade }: { secret: string; onMade: (made: Made) => void }) {
  const [email, setEmail] = useState('');
  const form = useSubmission(async () => {
    const made = await api.createFirstAccount({ email, setup_secret: secret });
    onMade({
      email: made.email,
      apiKey: made.api_key,
      newKey: true,
      totpUri: made.totp_uri,
      qrSvg: made.totp_qr_svg,
      recoveryCodes: made.recovery_codes,
    });
  });
  const { busy, failed, submit } = form;
  return (
    <form onSubmit={submit}>
      <h1>Welcome</h1>
      <p class="about">
        This server has no account yet. Make the first one: you get its API key, and set up the authenticator that you
        sign in with.
      </p>
      <TextField
        label="Your e-mail"
        type="email"
        value={email}
        onInput={setEmail}
        autocomplete="email"
        hint="It is what you sign in as. Nothing is sent to it."
        error={fieldError(failed, 'email')}
        required
      />
      {failed === null ? null : <Failure text={wordsOf(failed)} />}
      <Button kind="main" type="submit" busy={busy}>
        Make the account
      </Button>
    </form>
  );
}

function Identify({ link, onMade }: { link: Exclude<SetUpLink, { kind: 'first' }>; onMade: (made: Made) => void }) {
  const [email, setEmail] = useState(link.kind === 'person' ? link.email : '');
  const [apiKey, setApiKey] = useState('');
  const [secret, setSecret] = useState(link.kind === 'person' ? link.secret : '');
  const form = useSubmission(async () => {
    const key = apiKey.trim();
    const made = await api.enrolAuthenticator({ email, api_key: key, setup_secret: secret });
    onMade({
      email,
      apiKey: key,
      newKey: false,
      totpUri: made.totp_uri,
      qrSvg: made.totp_qr_svg,
      recoveryCodes: made.recovery_codes,
    });
  });
  const { busy, failed, submit } = form;
  return (
    <form onSubmit={submit}>
      <h1>Set up your authenticator</h1>
      <p class="about">
        You need an API key of the account and the setup secret that was shown when you were added. An app such as
        Aegis, FreeOTP or 1Password then shows the codes you sign in with.
      </p>
      <TextField label="E-mail" type="email" value={email} onInput={setEmail} autocomplete="username" required />
      <TextField
        label="API key"
        type="password"
        value={apiKey}
        onInput={setApiKey}
        autocomplete="current-password"
        required
      />
      {link.kind === 'person' ? null : (
        <TextField
          label="Setup secret"
          value={secret}
          onInput={setSecret}
          hint="Lost it? An owner, or fuselink-server account reset-second-factor, makes another."
          required
        />
      )}
      {failed === null ? null : <Failure text={wordsOf(failed)} />}
      <Button kind="main" type="submit" busy={busy}>
        Go on
      </Button>
      <p class="below">
        <a href={href('')}>Sign in instead</a>
      </p>
    </form>
  );
}

function Finish({ made }: { made: Made }) {
  const verify = async (totp: string) => {
    await enter({ email: made.email, api_key: made.apiKey, totp });
    say('done', 'Your authenticator is set up.');
    go(href(''), { replace: true });
  };
  return (
    <div>
      <h1>{made.newKey ? 'Your account' : 'Your authenticator'}</h1>
      {made.newKey ? (
        <>
          <h2>API key</h2>
          <p class="about">The first key of your account. It is shown only now: keep it where your programs find it.</p>
          <Copyable text={made.apiKey} what="the API key" secret />
        </>
      ) : null}
      <AuthenticatorSteps
        totpUri={made.totpUri}
        qrSvg={made.qrSvg}
        recoveryCodes={made.recoveryCodes}
        action="Verify and sign in"
        onVerify={verify}
      />
    </div>
  );
}

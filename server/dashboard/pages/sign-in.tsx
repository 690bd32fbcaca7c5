import { useState } from 'preact/hooks';
import { fieldError, Refusal, wordsOf } from '../api/calls.ts';
import { Button } from '../parts/button.tsx';
import { Failure } from '../parts/failure.tsx';
import { TextField } from '../parts/field.tsx';
import { Mark } from '../parts/mark.tsx';
import { href } from '../state/route.ts';
import { endedBecause, enter } from '../state/session.ts';
import { useSubmission } from '../state/submission.ts';
import { say } from '../state/toasts.ts';

const CODES_FEW = 3;

/** E-mail, API key and a code. Where one was going is kept in the address. */
export function SignIn() {
  const [email, setEmail] = useState('');
  const [apiKey, setApiKey] = useState('');
  const [code, setCode] = useState('');
  const [recovery, setRecovery] = useState(false);

  const form = useSubmission(
    async () => {
      const factor = recovery ? { recovery_code: code } : { totp: code };
      const { recoveryCodesLeft } = await enter({ email, api_key: apiKey.trim(), ...factor });
      if (recovery || recoveryCodesLeft <= CODES_FEW) {
        say('done', `${recoveryCodesLeft} recovery codes are left. Settings makes new ones.`);
      }
    },
    () => setCode(''),
  );
  const { busy, failed, submit } = form;

  return (
    <main class="alone">
      <form class="card narrow" onSubmit={submit}>
        <p class="brand">
          <Mark />
          <span>Fuselink</span>
        </p>
        <h1>Sign in</h1>
        {endedBecause.value === null ? null : (
          <p class="notice warn" role="status">
            {endedBecause.value}
          </p>
        )}
        <TextField
          label="E-mail"
          type="email"
          value={email}
          onInput={setEmail}
          autocomplete="username"
          error={fieldError(failed, 'email')}
          required
        />
        <TextField
          label="API key"
          type="password"
          value={apiKey}
          onInput={setApiKey}
          autocomplete="current-password"
          hint="An account key: 64 hex characters, or pdm_ and 28 more."
          error={fieldError(failed, 'api_key')}
          required
        />
        <TextField
          label={recovery ? 'Recovery code' : 'Code of your authenticator'}
          value={code}
          onInput={setCode}
          autocomplete="one-time-code"
          {...(recovery ? {} : { inputMode: 'numeric' as const })}
          hint={recovery ? 'One of the ten you saved; each works once.' : 'Six digits, new every 30 seconds.'}
          required
        />
        {failed === null ? null : <Failure text={explain(failed)} />}
        <Button kind="main" type="submit" busy={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </Button>
        <p class="below">
          <button
            type="button"
            class="link"
            onClick={() => {
              setRecovery(!recovery);
              setCode('');
            }}
          >
            {recovery ? 'Use the authenticator instead' : 'Use a recovery code instead'}
          </button>
          <a href={href('set-up')}>Set up an authenticator</a>
        </p>
      </form>
    </main>
  );
}

function explain(error: unknown): string {
  if (error instanceof Refusal && error.code === 'totp_required') {
    return 'A code of the authenticator is needed. If you have none yet, set one up first.';
  }
  return wordsOf(error);
}

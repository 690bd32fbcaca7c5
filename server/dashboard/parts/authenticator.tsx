import { useState } from 'preact/hooks';
import { wordsOf } from '../api/calls.ts';
import { useSubmission } from '../state/submission.ts';
import { Button } from './button.tsx';
import { Copyable } from './copy.tsx';
import { Failure } from './failure.tsx';
import { Checkbox, TextField } from './field.tsx';

/** An authenticator in three steps: scan, save the codes for the day it is lost, show the first code. */
export function AuthenticatorSteps({
  totpUri,
  qrSvg,
  recoveryCodes,
  action,
  onVerify,
}: {
  totpUri: string;
  qrSvg: string;
  /** Absent where the codes one has stay good. */
  recoveryCodes?: readonly string[];
  action: string;
  onVerify: (code: string) => Promise<void>;
}) {
  const [saved, setSaved] = useState(recoveryCodes === undefined);
  const [code, setCode] = useState('');
  const form = useSubmission(
    async () => {
      await onVerify(code);
    },
    () => setCode(''),
  );
  const { busy, failed, submit } = form;
  return (
    <form onSubmit={submit}>
      <h2>Scan this with your authenticator</h2>
      <div class="qr">
        <img src={svgAddress(qrSvg)} alt="QR code of the authenticator's secret" width="200" height="200" />
      </div>
      <details>
        <summary>No camera? Enter the secret by hand</summary>
        <Copyable text={secretOf(totpUri)} what="the authenticator's secret" secret />
      </details>
      {recoveryCodes === undefined ? null : (
        <>
          <h2>Save your recovery codes</h2>
          <p class="about">Each is good for one sign-in without the authenticator. They are shown only now.</p>
          <RecoveryCodes codes={recoveryCodes} />
          <Checkbox label="I have saved them" on={saved} onChange={setSaved} />
        </>
      )}
      <h2>Enter the code it shows</h2>
      <TextField
        label="Code"
        value={code}
        onInput={setCode}
        autocomplete="one-time-code"
        inputMode="numeric"
        hint="Six digits, new every 30 seconds."
        required
      />
      {failed === null ? null : <Failure text={wordsOf(failed)} />}
      <Button kind="main" type="submit" busy={busy} disabled={!saved}>
        {action}
      </Button>
      {saved ? null : <p class="hint">First confirm that the codes are saved.</p>}
    </form>
  );
}

export function RecoveryCodes({ codes }: { codes: readonly string[] }) {
  return <Copyable text={codes.join('\n')} what="the recovery codes" secret />;
}

/** A picture of our own server's, as data: no request, and nothing in it can run. */
function svgAddress(svg: string): string {
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

/** The secret of an otpauth address in groups of four, as apps ask for it. */
function secretOf(totpUri: string): string {
  const secret = new URL(totpUri).searchParams.get('secret') ?? '';
  return secret.replace(/(.{4})(?=.)/g, '$1 ');
}

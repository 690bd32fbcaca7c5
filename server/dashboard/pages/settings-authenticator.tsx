import { useState } from 'preact/hooks';
import * as api from '../api/account.ts';
import { AuthenticatorSteps, RecoveryCodes } from '../parts/authenticator.tsx';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { TextField } from '../parts/field.tsx';
import { FormBody } from '../parts/form-dialog.tsx';
import { useSubmission } from '../state/submission.ts';
import { say } from '../state/toasts.ts';

type Doing = 'replace' | 'codes' | null;

/** One's own second factor. Each change asks for a fresh code: a screen left open is not enough. */
export function Authenticator() {
  const [doing, setDoing] = useState<Doing>(null);
  return (
    <Card title="Your authenticator" about="The second factor of your sign-in.">
      <div class="actions">
        <Button onClick={() => setDoing('replace')}>Move to another device</Button>
        <Button onClick={() => setDoing('codes')}>New recovery codes</Button>
      </div>
      {doing === 'replace' ? <ReplaceDialog onClose={() => setDoing(null)} /> : null}
      {doing === 'codes' ? <CodesDialog onClose={() => setDoing(null)} /> : null}
    </Card>
  );
}

function CodeForm({
  action,
  text,
  onCode,
  onClose,
}: {
  action: string;
  text: string;
  onCode: (code: string) => Promise<void>;
  onClose: () => void;
}) {
  const [code, setCode] = useState('');
  const form = useSubmission(
    async () => {
      await onCode(code);
    },
    () => setCode(''),
  );
  return (
    <FormBody action={action} form={form} onClose={onClose}>
      <p>{text}</p>
      <TextField
        label="Code of your present authenticator"
        value={code}
        onInput={setCode}
        inputMode="numeric"
        autocomplete="one-time-code"
        hint="A code counts once: take the next one if you signed in just now."
        required
      />
    </FormBody>
  );
}

function ReplaceDialog({ onClose }: { onClose: () => void }) {
  const [next, setNext] = useState<{ totp_uri: string; totp_qr_svg: string } | null>(null);
  return (
    <Dialog title="Another authenticator" onClose={onClose}>
      {next === null ? (
        <CodeForm
          action="Go on"
          text="The present one stays good until the new one has shown its first code."
          onCode={async (code) => setNext(await api.replaceAuthenticator(code))}
          onClose={onClose}
        />
      ) : (
        <div class="dialog-body">
          <AuthenticatorSteps
            totpUri={next.totp_uri}
            qrSvg={next.totp_qr_svg}
            action="Verify"
            onVerify={async (code) => {
              await api.confirmAuthenticator(code);
              say('done', 'The new authenticator has taken over. Your other sessions are ended.');
              onClose();
            }}
          />
        </div>
      )}
    </Dialog>
  );
}

function CodesDialog({ onClose }: { onClose: () => void }) {
  const [codes, setCodes] = useState<string[] | null>(null);
  return (
    <Dialog title="New recovery codes" onClose={onClose} locked={codes !== null}>
      {codes === null ? (
        <CodeForm
          action="Make new codes"
          text="The old codes are worth nothing from then on."
          onCode={async (code) => setCodes((await api.renewRecoveryCodes(code)).recovery_codes)}
          onClose={onClose}
        />
      ) : (
        <>
          <div class="dialog-body">
            <p class="notice warn">Each is good for one sign-in. They are shown only now.</p>
            <RecoveryCodes codes={codes} />
          </div>
          <footer class="dialog-foot">
            <Button kind="main" onClick={onClose}>
              I have saved them
            </Button>
          </footer>
        </>
      )}
    </Dialog>
  );
}

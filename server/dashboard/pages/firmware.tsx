import { useState } from 'preact/hooks';
import { fieldError } from '../api/calls.ts';
import * as api from '../api/firmware.ts';
import { bytesText } from '../format/numbers.ts';
import { Button, ButtonLink } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Empty } from '../parts/empty.tsx';
import { TextField } from '../parts/field.tsx';
import { FormDialog } from '../parts/form-dialog.tsx';
import { Page } from '../parts/page.tsx';
import { Time } from '../parts/time.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';
import { mayChange } from '../state/session.ts';
import { useSubmission } from '../state/submission.ts';
import { say } from '../state/toasts.ts';

const LISTED_MAX = 100;

async function look() {
  const [{ images }, { keys }] = await Promise.all([api.listFirmware({ limit: LISTED_MAX }), api.listFirmwareKeys()]);
  return { images, keys };
}

type Asked = { what: 'remove'; image: api.FirmwareImage } | { what: 'distrust'; key: api.FirmwareKey };

/** Signed images for devices behind gateways. They are signed where the signing key is, never here. */
export function Firmware() {
  const loaded = useLoaded('firmware', look);
  const { reload } = loaded;
  const [trusting, setTrusting] = useState(false);
  const [asked, setAsked] = useState<Asked | null>(null);
  useLive(({ action }) => action.startsWith('firmware'), reload);
  return (
    <Page title="Firmware">
      <WhenLoaded of={loaded} what="the images">
        {(value) => (
          <>
            <Card title="Images" about="A campaign rolls an image out, in waves, to devices behind gateways.">
              {value.images.length === 0 ? (
                <Empty title="No images yet" command="npm run -s fuselink-server -- firmware add --help">
                  <p>An image is signed where the signing key is, and taken up by the same command, on the server:</p>
                </Empty>
              ) : (
                <ul class="rows">
                  {value.images.map((image) => (
                    <li class="row" key={image.id}>
                      <span class="two grow">
                        <strong>{image.release}</strong>
                        <span class="soft">
                          {image.name} · {bytesText(image.size)} · signed by{' '}
                          {value.keys.find((key) => key.public_key === image.signer)?.name ??
                            'a key that is not trusted'}
                        </span>
                      </span>
                      <span class="soft">
                        Added <Time at={image.created_at} />
                      </span>
                      {mayChange.value ? (
                        <>
                          <ButtonLink href={href('campaigns', 'new', { firmware: image.id })}>Roll out</ButtonLink>
                          <Button
                            kind="danger"
                            label={`Remove ${image.release}`}
                            onClick={() => setAsked({ what: 'remove', image })}
                          >
                            Remove
                          </Button>
                        </>
                      ) : null}
                    </li>
                  ))}
                </ul>
              )}
            </Card>
            <Card
              title="Keys that are trusted"
              about="Only what one of these has signed is taken up and given out."
              actions={mayChange.value ? <Button onClick={() => setTrusting(true)}>Trust a key</Button> : undefined}
            >
              {value.keys.length === 0 ? (
                <Empty
                  title="No key is trusted yet"
                  command="npm run -s fuselink-server -- firmware keygen signing.key"
                >
                  <p>Make a signing key where your releases are built, and trust its public half here:</p>
                </Empty>
              ) : (
                <ul class="rows">
                  {value.keys.map((key) => (
                    <li class="row" key={key.public_key}>
                      <span class="two grow">
                        <strong>{key.name}</strong>
                        <code class="soft">{key.public_key}</code>
                      </span>
                      {mayChange.value ? (
                        <Button
                          kind="danger"
                          label={`Distrust ${key.name}`}
                          onClick={() => setAsked({ what: 'distrust', key })}
                        >
                          Distrust
                        </Button>
                      ) : null}
                    </li>
                  ))}
                </ul>
              )}
            </Card>
          </>
        )}
      </WhenLoaded>
      {trusting ? <TrustDialog onClose={() => setTrusting(false)} onTrusted={reload} /> : null}
      {asked === null ? null : <Ask asked={asked} onClose={() => setAsked(null)} onDone={reload} />}
    </Page>
  );
}

function Ask({ asked, onClose, onDone }: { asked: Asked; onClose: () => void; onDone: () => void }) {
  if (asked.what === 'remove') {
    const { image } = asked;
    return (
      <Confirm
        title={`Remove ${image.release}?`}
        action="Remove"
        onConfirm={async () => {
          await api.removeFirmware(image.id);
          say('done', `${image.release} was removed.`);
          onDone();
        }}
        onClose={onClose}
      >
        <p>It can be added again. An image that a device still waits for stays.</p>
      </Confirm>
    );
  }
  const { key } = asked;
  return (
    <Confirm
      title={`Distrust ${key.name}?`}
      action="Distrust"
      onConfirm={async () => {
        await api.distrustFirmwareKey(key.public_key);
        say('done', `${key.name} is not trusted any more.`);
        onDone();
      }}
      onClose={onClose}
    >
      <p>Nothing it has signed is taken up or given out any more, roll-outs under way included.</p>
    </Confirm>
  );
}

function TrustDialog({ onClose, onTrusted }: { onClose: () => void; onTrusted: () => void }) {
  const [name, setName] = useState('');
  const [publicKey, setPublicKey] = useState('');
  const form = useSubmission(async () => {
    await api.trustFirmwareKey({ name, public_key: publicKey.trim() });
    say('done', 'What it signs may be rolled out from now on.');
    onTrusted();
    onClose();
  });
  const { failed } = form;
  return (
    <FormDialog title="Trust a key" action="Trust it" form={form} onClose={onClose}>
      <TextField label="Name" value={name} onInput={setName} error={fieldError(failed, 'name')} required />
      <TextField
        label="Public key"
        value={publicKey}
        onInput={setPublicKey}
        hint="64 hex characters, as fuselink-server firmware keygen prints them"
        error={fieldError(failed, 'public_key')}
        required
      />
    </FormDialog>
  );
}

import { useState } from 'preact/hooks';
import { fieldError } from '../api/calls.ts';
import * as api from '../api/webhooks.ts';
import { actionText } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Confirm, Dialog } from '../parts/dialog.tsx';
import { Empty } from '../parts/empty.tsx';
import { Checkbox, TextField } from '../parts/field.tsx';
import { FormDialog, ShownOnce } from '../parts/form-dialog.tsx';
import { Time } from '../parts/time.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { useLoaded } from '../state/loaded.ts';
import { mayChange } from '../state/session.ts';
import { useSubmission } from '../state/submission.ts';
import { attempt, say } from '../state/toasts.ts';

const EVENTS = [
  'transfer.delivered',
  'transfer.expired',
  'campaign.paused',
  'device.silent',
  'device.heard',
  'key.alarm',
] as const;

/** Who is told of what happens, outside: by signed messages to an address of their own. */
export function Webhooks() {
  const loaded = useLoaded('webhooks', api.listWebhooks);
  const { reload } = loaded;
  const [adding, setAdding] = useState(false);
  const [looking, setLooking] = useState<api.Webhook | null>(null);
  const [removing, setRemoving] = useState<api.Webhook | null>(null);
  const act = async (doing: () => Promise<unknown>, done: string) => {
    await attempt(doing, done);
    reload();
  };
  return (
    <Card
      title="Webhooks"
      about="Your own programs are told of deliveries, paused campaigns, silent devices and alarms, by signed messages."
      actions={mayChange.value ? <Button onClick={() => setAdding(true)}>Add a webhook</Button> : undefined}
    >
      <WhenLoaded of={loaded} what="the webhooks">
        {(value) =>
          value.webhooks.length === 0 ? (
            <Empty
              title="No webhooks yet"
              command="npm run -s fuselink-server -- webhook add https://example.com/fuselink"
            >
              <p>Add one here, or on the server:</p>
            </Empty>
          ) : (
            <ul class="rows">
              {value.webhooks.map((webhook) => (
                <li class="row" key={webhook.id}>
                  <span class="two grow">
                    <strong>{webhook.url}</strong>
                    <span class="soft">
                      {webhook.events.length === 0 ? 'everything there is' : webhook.events.map(actionText).join(', ')}
                    </span>
                  </span>
                  <State of={webhook} />
                  <Button label={`Messages to ${webhook.url}`} onClick={() => setLooking(webhook)}>
                    Messages
                  </Button>
                  {!mayChange.value ? null : (
                    <>
                      {webhook.state === 'active' ? (
                        <Button
                          label={`Test ${webhook.url}`}
                          onClick={() => void act(() => api.testWebhook(webhook.id), 'A test is on its way.')}
                        >
                          Test
                        </Button>
                      ) : (
                        <Button
                          kind="main"
                          label={`Enable ${webhook.url}`}
                          onClick={() => void act(() => api.enableWebhook(webhook.id), 'It goes on where it stopped.')}
                        >
                          Enable
                        </Button>
                      )}
                      <Button kind="danger" label={`Remove ${webhook.url}`} onClick={() => setRemoving(webhook)}>
                        Remove
                      </Button>
                    </>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </WhenLoaded>
      {adding ? <AddDialog onClose={() => setAdding(false)} onAdded={reload} /> : null}
      {looking === null ? null : <Messages of={looking} onClose={() => setLooking(null)} />}
      {removing === null ? null : (
        <Confirm
          title={`Remove ${removing.url}?`}
          action="Remove"
          onConfirm={async () => {
            await api.removeWebhook(removing.id);
            say('done', 'The webhook is gone.');
            reload();
          }}
          onClose={() => setRemoving(null)}
        >
          <p>What it has not taken yet is not sent any more.</p>
        </Confirm>
      )}
    </Card>
  );
}

function State({ of }: { of: api.Webhook }) {
  if (of.state === 'disabled') {
    return <Badge words={{ text: 'disabled', tone: 'bad', means: of.reason ?? 'It took nothing for too long.' }} />;
  }
  if (of.failing_since === null) return <Badge words={{ text: 'active', tone: 'good', means: '' }} />;
  return (
    <span class="two">
      <Badge words={{ text: 'failing', tone: 'warn', means: of.reason ?? '' }} />
      <span class="soft">
        since <Time at={of.failing_since} />
      </span>
    </span>
  );
}

function AddDialog({ onClose, onAdded }: { onClose: () => void; onAdded: () => void }) {
  const [url, setUrl] = useState('');
  const [events, setEvents] = useState<readonly string[]>([]);
  const [secret, setSecret] = useState<string | null>(null);
  const form = useSubmission(async () => {
    const added = await api.addWebhook({ url, ...(events.length === 0 ? {} : { events: [...events] }) });
    setSecret(added.secret);
    onAdded();
  });
  const { failed } = form;
  if (secret !== null) {
    return (
      <ShownOnce
        title="The webhook's secret"
        warning="Your program checks the signatures with it. It is shown only now."
        onClose={onClose}
      >
        <Copyable text={secret} what="the webhook's secret" secret />
      </ShownOnce>
    );
  }
  return (
    <FormDialog title="Add a webhook" action="Add" form={form} onClose={onClose}>
      <TextField
        label="Address"
        value={url}
        onInput={setUrl}
        placeholder="https://example.com/fuselink"
        error={fieldError(failed, 'url')}
        required
      />
      <fieldset>
        <legend>Of what</legend>
        <p class="hint">None of them checked means all.</p>
        {EVENTS.map((name) => (
          <Checkbox
            key={name}
            label={actionText(name)}
            on={events.includes(name)}
            onChange={(on) => setEvents(on ? [...events, name] : events.filter((one) => one !== name))}
          />
        ))}
      </fieldset>
    </FormDialog>
  );
}

const TONES = { waiting: 'busy', delivered: 'good', failed: 'bad' } as const;

function Messages({ of, onClose }: { of: api.Webhook; onClose: () => void }) {
  const loaded = useLoaded(of.id, () => api.listMessages(of.id));
  const { reload } = loaded;
  return (
    <Dialog title="The latest messages" onClose={onClose}>
      <div class="dialog-body">
        <WhenLoaded of={loaded} what="the messages">
          {(value) =>
            value.messages.length === 0 ? (
              <p class="soft">Nothing was sent in the last week.</p>
            ) : (
              <ul class="rows">
                {value.messages.map((message) => (
                  <li class="row" key={message.id}>
                    <span class="two grow">
                      <strong>{actionText(message.type)}</strong>
                      <span class="soft">
                        <Time at={message.created_at} />
                        {message.outcome === null ? '' : ` · ${message.outcome}`}
                      </span>
                    </span>
                    <Badge words={{ text: message.state, tone: TONES[message.state], means: '' }} />
                    {mayChange.value && message.state !== 'waiting' ? (
                      <Button
                        onClick={async () => {
                          await attempt(() => api.sendAgain(of.id, message.id), 'It is on its way once more.');
                          reload();
                        }}
                      >
                        Send again
                      </Button>
                    ) : null}
                  </li>
                ))}
              </ul>
            )
          }
        </WhenLoaded>
      </div>
      <footer class="dialog-foot">
        <Button onClick={reload}>Look again</Button>
        <Button kind="main" onClick={onClose}>
          Close
        </Button>
      </footer>
    </Dialog>
  );
}

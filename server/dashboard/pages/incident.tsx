import { useState } from 'preact/hooks';
import type { IncidentReport } from '#sdk/protocol';
import { fieldError, wordsOf } from '../api/calls.ts';
import { declareIncident, type IncidentForm } from '../api/incidents.ts';
import { countText } from '../format/numbers.ts';
import { rotationWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Failure } from '../parts/failure.tsx';
import { Checkbox, SelectField, TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { Time } from '../parts/time.tsx';
import { href, place } from '../state/route.ts';
import { say } from '../state/toasts.ts';

const ACTIONS = [
  ['', 'What suits it'],
  ['quarantine', 'Quarantine it'],
  ['revoke', 'Revoke it'],
] as const;

const SCOPES = [
  ['person-and-place', 'Same people or places'],
  ['person', 'Same people'],
  ['place', 'Same places'],
  ['none', 'Nothing else'],
] as const;

/** A key is out: what would be done about it is looked at first, and done with one more press. */
export function Incident() {
  const [form, setForm] = useState<IncidentForm>({
    key: place.value.query.get('key') ?? '',
    reason: '',
    action: '',
    burn_unread: true,
    rotate: 'person-and-place',
  });
  const [busy, setBusy] = useState(false);
  const [asking, setAsking] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const [report, setReport] = useState<IncidentReport | null>(null);
  const set = (changed: Partial<IncidentForm>) => {
    setForm((before) => ({ ...before, ...changed }));
    // What was looked at is no longer what would be done.
    if (report?.dry_run === true) setReport(null);
  };
  const look = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailed(null);
    try {
      setReport(await declareIncident(form, { go: false }));
    } catch (error) {
      setReport(null);
      setFailed(error);
    }
    setBusy(false);
  };
  return (
    <Page title="A key is out" crumb={<a href={href('keys')}>API keys</a>}>
      <form onSubmit={look}>
        <Card title="Which, and what to do" about="Nothing changes before you have seen what would be done.">
          <div class="grid">
            <TextField
              label="The key, or its device"
              value={form.key}
              onInput={(key) => set({ key })}
              hint="Id or fingerprint of a key, id or name of a device"
              error={fieldError(failed, 'key')}
              required
            />
            <TextField
              label="What happened"
              value={form.reason}
              onInput={(reason) => set({ reason })}
              maxLength={200}
              hint="It is told in the audit and in the stories of the devices."
              error={fieldError(failed, 'reason')}
              required
            />
            <SelectField
              label="The key itself"
              value={form.action}
              options={ACTIONS}
              onChange={(action) => set({ action })}
              hint="A device's key is quarantined, any other revoked."
            />
            <SelectField
              label="Rotate as well"
              value={form.rotate}
              options={SCOPES}
              onChange={(rotate) => set({ rotate })}
              hint="Devices whose keys could have been seen as well."
            />
          </div>
          <Checkbox
            label="Burn what was sent with it and nobody has read yet"
            on={form.burn_unread}
            onChange={(burn_unread) => set({ burn_unread })}
          />
          {failed === null ? null : <Failure text={wordsOf(failed)} />}
          <div class="actions">
            <Button kind={report === null ? 'main' : 'plain'} type="submit" busy={busy}>
              See what would be done
            </Button>
            {report?.dry_run === true ? (
              <Button kind="danger" onClick={() => setAsking(true)}>
                Do it
              </Button>
            ) : null}
          </div>
        </Card>
      </form>
      {report === null ? null : <Report of={report} />}
      {asking ? (
        <Confirm
          title="Stop this key now?"
          action="Do it"
          onConfirm={async () => {
            setReport(await declareIncident(form, { go: true }));
            say('done', 'Done. The report says what may be compromised.');
          }}
          onClose={() => setAsking(false)}
        >
          <p>The key is stopped from its very next request on. Repeating it later is safe.</p>
        </Confirm>
      ) : null}
    </Page>
  );
}

function Report({ of }: { of: IncidentReport }) {
  return (
    <>
      <Card title={of.dry_run ? 'What would be done' : 'What was done'}>
        <div role="status">
          <ul class="sentences">
            {of.lines.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </div>
        {of.campaign_id === null ? null : (
          <p>
            <a href={href('campaigns', of.campaign_id)}>Watch the rotation</a>
          </p>
        )}
      </Card>
      {of.devices.length === 0 ? null : (
        <Card title={`Rotated with it: ${countText(of.devices_total, 'device')}`}>
          <ul class="lines">
            {of.devices.map((device) => (
              <li key={device.id}>
                <a class="grow" href={href('devices', device.id)}>
                  {device.name}
                </a>
                <span class="soft">same {device.shares.join(', ')}</span>
                <Badge words={rotationWords(device.state)} />
              </li>
            ))}
          </ul>
        </Card>
      )}
      {of.keys.length === 0 ? null : (
        <Card title="To be replaced by hand" about="Nothing rotates these over the air.">
          <ul class="lines">
            {of.keys.map((key) => (
              <li key={key.id}>
                <span class="grow">{key.name}</span>
                <span class="soft">{key.kind}</span>
                <code>{key.fingerprint}</code>
              </li>
            ))}
          </ul>
        </Card>
      )}
      {of.transfers.length === 0 ? null : (
        <Card
          title={`Sent with it: ${countText(of.transfers_total, 'file')}`}
          about={`${countText(of.read_total, 'file')} read or on the way to a reader, ${of.unread_total} not read by anybody; ${of.burned} burned.`}
        >
          <ul class="lines">
            {of.transfers.slice(0, 20).map((transfer) => (
              <li key={transfer.id}>
                <a class="grow" href={href('transfers', transfer.id)}>
                  <code>{transfer.id}</code>
                </a>
                <span class="soft">{transfer.end_to_end ? 'sealed end to end' : transfer.state}</span>
                <span class="soft">
                  <Time at={transfer.created_at} />
                </span>
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

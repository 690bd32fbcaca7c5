import { useState } from 'preact/hooks';
import { fieldError, wordsOf } from '../api/calls.ts';
import { createCampaign } from '../api/fleet.ts';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Failure } from '../parts/failure.tsx';
import { SelectField, TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { CAMPAIGN_FORM, type CampaignForm, campaignBody } from '../state/campaign-form.ts';
import { go, href, place } from '../state/route.ts';
import { useSubmission } from '../state/submission.ts';

const SOURCES = [
  ['self', 'The device (recommended)'],
  ['offer', 'The server, wrapped'],
] as const;

const POLICIES = [
  ['keep', 'Keep its key'],
  ['quarantine', 'Quarantine it'],
  ['revoke', 'Revoke its keys'],
] as const;

/** Whom, how, and what of those that are not heard. It becomes a draft; the next page says what it would do. */
export function CampaignNew() {
  const [form, setForm] = useState<CampaignForm>({
    ...CAMPAIGN_FORM,
    firmware: place.value.query.get('firmware') ?? '',
  });
  const text = (name: keyof CampaignForm, field: string) => ({
    value: form[name],
    onInput: (value: string) => setForm((before) => ({ ...before, [name]: value })),
    error: fieldError(failed, field),
  });
  const submission = useSubmission(async () => {
    const campaign = await createCampaign(campaignBody(form));
    go(href('campaigns', campaign.id), { replace: true });
  });
  const { busy, failed, submit } = submission;
  return (
    <Page title="New campaign" crumb={<a href={href('campaigns')}>Campaigns</a>}>
      <form class="stack" onSubmit={submit}>
        <Card title="Whom" about="What you leave empty does not restrict. All of it empty means every device.">
          <div class="grid">
            <TextField label="Name of the campaign" {...text('name', 'name')} maxLength={100} required />
            {form.firmware === '' ? null : <TextField label="Firmware to roll out" {...text('firmware', 'firmware')} />}
            <TextField label="With all of these tags" {...text('tags', 'tags')} hint="Commas between them" />
            <TextField label="In any of these groups" {...text('groups', 'groups')} hint="Commas between them" />
            <TextField label="Of this profile" {...text('profile', 'profile')} />
            <TextField
              label="Behind any of these gateways"
              {...text('gateways', 'gateways')}
              hint="Ids or names, with commas between them"
            />
            <TextField
              label="Keys at least this old"
              {...text('keyAgeDays', 'key_age_days')}
              type="number"
              min={0}
              unit="days"
            />
            <TextField
              label="Keys this person was shown"
              {...text('seenBy', 'seen_by')}
              type="email"
              hint="Their e-mail, e.g. when somebody leaves"
            />
          </div>
        </Card>
        <Card title="How" about="It goes on by itself from wave to wave, and pauses itself where too much goes wrong.">
          <div class="grid">
            <TextField label="First wave" {...text('canary', 'canary')} type="number" min={1} unit="devices" required />
            <TextField
              label="Each wave is larger by"
              {...text('growth', 'growth')}
              type="number"
              min={1}
              unit="times"
              required
            />
            <TextField
              label="Watch a wave for"
              {...text('soakMinutes', 'soakMs')}
              type="number"
              min={0}
              unit="minutes"
              required
            />
            <TextField
              label="Pause at errors over"
              {...text('errorsPercent', 'errorsPercentMax')}
              type="number"
              min={0}
              max={100}
              unit="%"
              required
            />
            {form.firmware === '' ? (
              <SelectField
                label="Who makes the new key"
                value={form.source}
                options={SOURCES}
                onChange={(source) => setForm((before) => ({ ...before, source }))}
                hint="Devices without real randomness take one from the server."
              />
            ) : null}
            <TextField
              label="Again every"
              {...text('repeatDays', 'repeat_every_days')}
              type="number"
              min={1}
              unit="days"
              hint="Empty: once"
            />
          </div>
        </Card>
        <Card title="Who is not heard">
          <div class="grid">
            <TextField
              label="Deadline"
              {...text('deadlineDays', 'deadline')}
              type="number"
              min={1}
              unit="days"
              hint="Empty: no deadline"
            />
            <SelectField
              label="Behind the deadline"
              hint="With its key kept, nobody is locked out."
              value={form.policy}
              options={POLICIES}
              onChange={(policy) => setForm((before) => ({ ...before, policy }))}
            />
          </div>
          {form.policy === 'keep' ? null : (
            <p class="notice warn">
              Devices that are not heard by the deadline will be{' '}
              {form.policy === 'revoke' ? 'locked out' : 'put in quarantine'}. The next page names them before anything
              happens.
            </p>
          )}
        </Card>
        {failed === null ? null : <Failure text={wordsOf(failed)} />}
        <div class="actions">
          <Button kind="main" type="submit" busy={busy}>
            See what it would do
          </Button>
          <p class="soft">It is saved as a draft; nothing happens before you start it.</p>
        </div>
      </form>
    </Page>
  );
}

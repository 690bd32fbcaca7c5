import { useState } from 'preact/hooks';
import * as api from '../api/account.ts';
import { bytesText, countText, numberText } from '../format/numbers.ts';
import { durationText } from '../format/time.ts';
import { Card, Facts } from '../parts/card.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Switch } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { useLoaded } from '../state/loaded.ts';
import { isOwner } from '../state/session.ts';
import { attempt, say } from '../state/toasts.ts';
import { Authenticator } from './settings-authenticator.tsx';
import { People } from './settings-people.tsx';
import { Sessions } from './settings-sessions.tsx';
import { Webhooks } from './settings-webhooks.tsx';

export function Settings() {
  return (
    <Page title="Settings">
      <Authenticator />
      <Sessions />
      <People />
      <Webhooks />
      <Rules />
      <Limits />
    </Page>
  );
}

const SWITCHES: readonly { name: api.AccountSwitch; label: string; hint: string; warn?: string }[] = [
  {
    name: 'rotations_paused',
    label: 'Pause all rotations',
    hint: 'No rotation of any device mints a key while this is on. Nothing is lost, and nobody is locked out.',
  },
  {
    name: 'alarms_quarantine',
    label: 'Quarantine on alarm',
    hint: "The alarm that a device's key was copied puts the device in quarantine by itself.",
  },
  {
    name: 'require_sealed',
    label: 'Only sealed files',
    hint: 'Uploads that are not sealed end to end are refused, on every path.',
    warn: 'Devices that send files as they are will be refused from their next upload on.',
  },
  {
    name: 'keys_may_manage',
    label: 'API keys may manage',
    hint: 'An API key alone may then change keys and devices, without anybody signing in.',
    warn: 'A leaked key could then make more keys and change devices.',
  },
];

function Rules() {
  const account = useLoaded('account', api.getAccount);
  const [asking, setAsking] = useState<(typeof SWITCHES)[number] | null>(null);
  const set = async (name: api.AccountSwitch, on: boolean) => {
    const answer = await attempt(() => api.setSwitch(name, on), 'Changed, for the very next request.');
    if (answer !== null) account.put(answer);
    else account.reload();
  };
  return (
    <Card title="Rules of the account" about={isOwner.value ? undefined : 'Owners change these.'}>
      <WhenLoaded of={account} what="the rules">
        {(rules) =>
          SWITCHES.map((one) => (
            <Switch
              key={one.name}
              label={one.label}
              hint={one.hint}
              on={rules[one.name]}
              disabled={!isOwner.value}
              onChange={(on) => {
                if (on && one.warn !== undefined) {
                  setAsking(one);
                  account.reload();
                } else void set(one.name, on);
              }}
            />
          ))
        }
      </WhenLoaded>
      {asking === null ? null : (
        <Confirm
          title={`${asking.label}?`}
          action="Turn it on"
          onConfirm={async () => {
            account.put(await api.setSwitch(asking.name, true));
            say('done', 'Changed, for the very next request.');
          }}
          onClose={() => setAsking(null)}
        >
          <p>{asking.warn}</p>
        </Confirm>
      )}
    </Card>
  );
}

function Limits() {
  const loaded = useLoaded('limits', api.getLimits);
  return (
    <Card title="Limits" about="Set by the operator of the server, with FUSELINK_* in its environment.">
      <WhenLoaded of={loaded} what="the limits">
        {(value) => (
          <Facts
            facts={[
              [
                'Uploads of a device',
                `${numberText(value.uploads)} in ${countText(value.upload_window_seconds, 'second')}`,
              ],
              ['At the same moment', countText(value.uploads_in_flight, 'upload')],
              ['Status reports of a device', `${numberText(value.status_reports)} a minute`],
              ['Largest file', bytesText(value.file_bytes_max)],
              [
                'Life of a link',
                `${durationText(value.ttl_seconds_min * 1000)} to ${durationText(value.ttl_seconds_max * 1000)}, ${durationText(value.ttl_seconds_default * 1000)} unless it is said`,
              ],
              ['Active account keys', `${numberText(value.account_keys_max)} at most`],
              ['People', `${numberText(value.account_users_max)} at most`],
              ['A sign-in lasts', durationText(value.session_seconds * 1000)],
              ['Stored at once', value.quota_bytes === null ? 'no quota' : bytesText(value.quota_bytes)],
              ['Version of the server', value.version],
            ]}
          />
        )}
      </WhenLoaded>
    </Card>
  );
}

import type { CampaignAnswer, CampaignPreflight } from '#sdk/protocol';
import { preflightCampaign } from '../api/fleet.ts';
import { countText, numberText } from '../format/numbers.ts';
import { durationText } from '../format/time.ts';
import { Card, Facts } from '../parts/card.tsx';
import { WhenLoaded } from '../parts/when-loaded.tsx';
import { useLoaded } from '../state/loaded.ts';

/** What the campaign would do, before it does it. */
export function Preflight({ campaign }: { campaign: CampaignAnswer }) {
  const loaded = useLoaded(`preflight ${campaign.id}`, () => preflightCampaign(campaign.id));
  return (
    <Card title="What it would do" about="Counted now; it is counted again when it starts.">
      <WhenLoaded of={loaded} what="the preflight">
        {(value) => <Found found={value} />}
      </WhenLoaded>
    </Card>
  );
}

function Found({ found }: { found: CampaignPreflight }) {
  if (found.devices === 0) {
    return <p class="notice warn">No device is selected. Make another campaign with less narrow conditions.</p>;
  }
  return (
    <>
      {found.locked_out_total === 0 ? (
        <p class="notice good">Nobody would be locked out.</p>
      ) : (
        <div class="notice bad" role="alert">
          <p>
            <strong>{countText(found.locked_out_total, 'device')} would be locked out</strong> if nothing is heard of
            them sooner than in the past:
          </p>
          <Names names={found.locked_out} total={found.locked_out_total} />
        </div>
      )}
      <ol class="waves" aria-label="Waves">
        {found.waves.map((devices, wave) => (
          <li key={wave} style={{ flexGrow: Math.log2(devices + 1) + 1 }}>
            <span class="soft">{wave === 0 ? 'Canary' : `Wave ${wave + 1}`}</span>
            <strong>{numberText(devices)}</strong>
          </li>
        ))}
      </ol>
      <Facts
        facts={[
          ['Devices', numberText(found.devices)],
          ['It takes at least', `${durationText(found.seconds_min * 1000)}, if every device answers at once`],
          [
            'Not heard for a day',
            found.offline_total === 0 ? (
              'none'
            ) : (
              <Names key="offline" names={found.offline} total={found.offline_total} />
            ),
          ],
          ['Left out, being under way already', countText(found.busy_total, 'device')],
          [
            'Without a recovery secret',
            found.without_recovery_total === 0
              ? 'none'
              : `${countText(found.without_recovery_total, 'device')}: only an operator can help these out of trouble`,
          ],
          found.within_caps ? null : ['Status reports', 'a rotation needs more a minute than devices are allowed'],
        ]}
      />
    </>
  );
}

const NAMED_MAX = 8;

function Names({ names, total }: { names: readonly string[]; total: number }) {
  const named = names.slice(0, NAMED_MAX);
  const more = total - named.length;
  return (
    <span>
      {named.join(', ')}
      {more > 0 ? ` and ${numberText(more)} more` : ''}
    </span>
  );
}

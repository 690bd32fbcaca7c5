import type { CampaignAnswer } from '#sdk/protocol';
import { wordsOf } from '../api/calls.ts';
import { campaignHistory, getCampaign } from '../api/fleet.ts';
import { numberText } from '../format/numbers.ts';
import { durationText } from '../format/time.ts';
import { actorText, campaignWords, hasEnded } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Card, Facts } from '../parts/card.tsx';
import { Failure, Waiting } from '../parts/failure.tsx';
import { FleetChart } from '../parts/fleet-chart.tsx';
import { Page } from '../parts/page.tsx';
import { ProgressBar } from '../parts/progress-bar.tsx';
import { Time } from '../parts/time.tsx';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { href } from '../state/route.ts';
import { mayChange } from '../state/session.ts';
import { CampaignActions } from './campaign-actions.tsx';
import { CampaignMembers } from './campaign-members.tsx';
import { Preflight } from './preflight.tsx';

async function look(id: string) {
  const [campaign, history] = await Promise.all([getCampaign(id), campaignHistory(id)]);
  return { campaign, samples: history.samples };
}

export function Campaign({ id }: { id: string }) {
  const { value, error, reload } = useLoaded(id, () => look(id));
  useLive(({ action }) => action.startsWith('rotation.') || action.startsWith('campaign.'), reload);
  const crumb = <a href={href('campaigns')}>Campaigns</a>;
  if (value === null) {
    return (
      <Page title="Campaign" crumb={crumb}>
        {error === null ? <Waiting what="the campaign" /> : <Failure text={wordsOf(error)} retry={reload} />}
      </Page>
    );
  }
  const { campaign, samples } = value;
  const begun = campaign.state !== 'DRAFT' && campaign.state !== 'SCHEDULED';
  return (
    <Page
      title={campaign.name}
      crumb={crumb}
      badge={<Badge words={campaignWords(campaign.state)} />}
      actions={mayChange.value ? <CampaignActions campaign={campaign} onChanged={reload} /> : undefined}
    >
      <Now campaign={campaign} />
      {begun ? (
        <>
          <Card title="The fleet over time">
            <FleetChart samples={samples} />
          </Card>
          <CampaignMembers campaign={campaign} />
        </>
      ) : (
        <Preflight campaign={campaign} />
      )}
      <Card title="As it was built">
        <Facts facts={rulesOf(campaign)} />
      </Card>
    </Page>
  );
}

function Now({ campaign }: { campaign: CampaignAnswer }) {
  const { state, reason, wave, progress } = campaign;
  const words = campaignWords(state);
  const begun = state !== 'DRAFT' && state !== 'SCHEDULED';
  return (
    <section class="card now" aria-label="Where it stands">
      <p>
        <strong>{words.means}</strong>{' '}
        {begun && !hasEnded(state) ? (
          <>
            {wave === 0 ? 'The first wave' : `Wave ${wave + 1}`}, in this state for{' '}
            <Time at={campaign.since} as="age" />.
          </>
        ) : null}
        {state === 'SCHEDULED' && campaign.starts_at !== null ? (
          <>
            {' '}
            <Time at={campaign.starts_at} as="local" />.
          </>
        ) : null}
      </p>
      {state === 'PAUSED' && reason !== null ? <p class="notice warn">Why it is paused: {reason}</p> : null}
      {begun ? (
        <>
          <ProgressBar progress={progress} />
          <ul class="figures-row">
            <Figure count={progress.done} name="done" tone="good" />
            <Figure count={progress.open} name="under way" tone="busy" />
            <Figure count={progress.waiting} name="waiting" tone="quiet" />
            <Figure count={progress.errors} name="errors" tone="bad" />
            {progress.limbo === 0 ? null : <Figure count={progress.limbo} name="refused both keys" tone="bad" />}
          </ul>
        </>
      ) : null}
    </section>
  );
}

function Figure({ count, name, tone }: { count: number; name: string; tone: string }) {
  return (
    <li>
      <span class={`dot ${tone}`} aria-hidden="true" />
      <strong>{numberText(count)}</strong> <span class="soft">{name}</span>
    </li>
  );
}

function rulesOf(campaign: CampaignAnswer) {
  const { selection, policy, source, repeat_every_days } = campaign;
  const said = Object.entries(selection).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(', ') : String(value);
    return [SELECTION[name] ?? name, text] as const;
  });
  return [
    ...(said.length === 0 ? ([['Devices', 'all']] as const) : said),
    campaign.kind === 'firmware'
      ? (['It brings', 'firmware'] as const)
      : (['New keys', source === 'self' ? 'made by the device' : 'made by the server'] as const),
    ['Behind the deadline', policy === 'keep' ? 'the key is kept' : policy] as const,
    repeat_every_days === null
      ? null
      : (['Again', `${durationText(repeat_every_days * 86_400_000)} after its end`] as const),
    ['Created', <Time key="created" at={campaign.created_at} as="local" />] as const,
    ['By', actorText(campaign.created_by)] as const,
  ];
}

const SELECTION: Readonly<Record<string, string>> = {
  tags: 'With the tags',
  groups: 'In a group of',
  gateways: 'Behind a gateway of',
  profile: 'Profile',
  devices: 'Devices',
  key_age_days: 'Key age, days at least',
  seen_by: 'Keys seen by',
};

import { useMemo } from 'preact/hooks';
import type { CampaignAnswer } from '#sdk/protocol';
import { listCampaigns } from '../api/fleet.ts';
import { numberText } from '../format/numbers.ts';
import { campaignWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { ButtonLink } from '../parts/button.tsx';
import { Empty } from '../parts/empty.tsx';
import { Page } from '../parts/page.tsx';
import { ProgressBar } from '../parts/progress-bar.tsx';
import { Time } from '../parts/time.tsx';
import { type Column, WindowedTable } from '../parts/windowed-table.tsx';
import { useLive } from '../state/live.ts';
import { createPagedList } from '../state/paged-list.ts';
import { href } from '../state/route.ts';
import { mayChange } from '../state/session.ts';

const COLUMNS: readonly Column<CampaignAnswer>[] = [
  {
    name: 'Campaign',
    cell: (campaign) => (
      <span class="two">
        <a href={href('campaigns', campaign.id)}>{campaign.name}</a>
        <span class="soft">
          {campaign.kind === 'firmware' ? 'firmware, ' : ''}
          <Time at={campaign.created_at} />
        </span>
      </span>
    ),
  },
  { name: 'State', cell: ({ state }) => <Badge words={campaignWords(state)} /> },
  { name: 'Progress', room: 'more', cell: ({ progress }) => <ProgressBar progress={progress} /> },
  { name: 'Done', figures: true, room: 'more', cell: ({ progress }) => numberText(progress.done) },
  { name: 'Errors', figures: true, cell: ({ progress }) => numberText(progress.errors) },
];

export function Campaigns() {
  const list = useMemo(
    () =>
      createPagedList<CampaignAnswer>(async (cursor) => {
        const page = await listCampaigns({ cursor, limit: 50 });
        return { rows: page.campaigns, next: page.next_cursor };
      }),
    [],
  );
  useLive(
    ({ action }) => action.startsWith('campaign.') || action.startsWith('rotation.'),
    () => void list.refresh(({ id }) => id),
  );
  const create = (
    <ButtonLink kind="main" href={href('campaigns', 'new')}>
      New campaign
    </ButtonLink>
  );
  return (
    <Page title="Campaigns" actions={mayChange.value ? create : undefined}>
      <WindowedTable
        list={list}
        columns={COLUMNS}
        keyOf={({ id }) => id}
        label="Campaigns"
        empty={
          <Empty
            title="No campaigns yet"
            command="npm run -s fuselink-server -- campaign create 'every key once'"
            actions={mayChange.value ? create : undefined}
          >
            <p>
              A campaign brings new keys to many devices, in waves: a few first, then more, and it pauses itself when
              something is wrong. No device is ever locked out. Here, or on the server:
            </p>
          </Empty>
        }
      />
    </Page>
  );
}

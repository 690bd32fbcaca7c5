import { useMemo, useState } from 'preact/hooks';
import type { CampaignAnswer, CampaignMemberAnswer } from '#sdk/protocol';
import { listMembers } from '../api/fleet.ts';
import { memberWords, rotationWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Card } from '../parts/card.tsx';
import { SelectField } from '../parts/field.tsx';
import { TimeOr } from '../parts/time.tsx';
import { type Column, WindowedTable } from '../parts/windowed-table.tsx';
import { useLive } from '../state/live.ts';
import { createPagedList, PAGE_ROWS } from '../state/paged-list.ts';
import { href } from '../state/route.ts';

const COLUMNS: readonly Column<CampaignMemberAnswer>[] = [
  {
    name: 'Device',
    cell: ({ device_id, device_name }) =>
      device_name === null ? <span class="soft">removed</span> : <a href={href('devices', device_id)}>{device_name}</a>,
  },
  { name: 'Wave', figures: true, room: 'more', cell: ({ wave }) => (wave === 0 ? 'canary' : wave + 1) },
  {
    name: 'Outcome',
    cell: ({ outcome, reason }) => (
      <span class="two">
        <Badge words={memberWords(outcome)} />
        {reason === null ? null : <span class="soft">{reason}</span>}
      </span>
    ),
  },
  {
    name: 'Key',
    room: 'more',
    cell: ({ rotation_state }) => (rotation_state === null ? '' : <Badge words={rotationWords(rotation_state)} />),
  },
  { name: 'Asked', room: 'most', figures: true, cell: ({ asked_at }) => <TimeOr at={asked_at} otherwise="not yet" /> },
];

const OUTCOMES = [
  ['', 'All devices'],
  ['error', 'Errors'],
  ['open', 'Asked'],
  ['waiting', 'Waiting'],
  ['done', 'Done'],
  ['skipped', 'Skipped'],
] as const;

/** Every device of a campaign and what has become of it. */
export function CampaignMembers({ campaign }: { campaign: CampaignAnswer }) {
  const [outcome, setOutcome] = useState('');
  const list = useMemo(
    () =>
      createPagedList<CampaignMemberAnswer>(async (cursor) => {
        const page = await listMembers(campaign.id, { outcome, cursor, limit: PAGE_ROWS });
        return { rows: page.members, next: page.next_cursor };
      }),
    [campaign.id, outcome],
  );
  useLive(
    ({ action }) => action.startsWith('rotation.') || action.startsWith('campaign.'),
    () => void list.refresh(({ device_id }) => device_id),
  );
  return (
    <Card title="Devices">
      <div class="filters">
        <SelectField label="Show" value={outcome} options={OUTCOMES} onChange={setOutcome} />
      </div>
      <WindowedTable
        list={list}
        columns={COLUMNS}
        keyOf={({ device_id }) => device_id}
        label="Devices of the campaign"
        empty={<p class="soft">None.</p>}
      />
    </Card>
  );
}

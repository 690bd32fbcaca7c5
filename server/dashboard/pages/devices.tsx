import { useMemo, useState } from 'preact/hooks';
import type { FleetDeviceAnswer } from '#sdk/protocol';
import { listDevices } from '../api/fleet.ts';
import { countText } from '../format/numbers.ts';
import { ROTATION_STATES, rotationWords } from '../format/words.ts';
import { Badge, Tags } from '../parts/badge.tsx';
import { Button } from '../parts/button.tsx';
import { Empty } from '../parts/empty.tsx';
import { SelectField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { Filters, SearchField } from '../parts/search.tsx';
import { Time, TimeOr } from '../parts/time.tsx';
import { type Column, WindowedTable } from '../parts/windowed-table.tsx';
import { enrolCommand } from '../state/commands.ts';
import { useLive } from '../state/live.ts';
import { createPagedList, PAGE_ROWS } from '../state/paged-list.ts';
import { href, place, setFilters } from '../state/route.ts';
import { mayChange } from '../state/session.ts';
import { EnrolDialog } from './enrol-dialog.tsx';

const COLUMNS: readonly Column<FleetDeviceAnswer>[] = [
  {
    name: 'Device',
    cell: (device) => (
      <span class="two">
        <a href={href('devices', device.id)}>{device.name}</a>
        <span class="soft">{device.profile}</span>
      </span>
    ),
  },
  { name: 'Tags', room: 'most', cell: ({ tags }) => <Tags tags={tags} /> },
  { name: 'Key', cell: ({ rotation_state }) => <Badge words={rotationWords(rotation_state)} /> },
  {
    name: 'Generation',
    room: 'more',
    figures: true,
    cell: ({ key }) => (key === null ? <span class="soft">none</span> : key.generation),
  },
  {
    name: 'Key age',
    room: 'more',
    figures: true,
    cell: ({ key }) => (key === null ? <span class="soft">–</span> : <Time at={key.created_at} as="age" />),
  },
  { name: 'Last seen', figures: true, cell: ({ last_seen_at }) => <TimeOr at={last_seen_at} otherwise="never" /> },
];

const STATES = [
  ['', 'Any state'],
  ...ROTATION_STATES.map((state) => [state, rotationWords(state).text] as const),
] as const;

export function Devices() {
  const { query } = place.value;
  const q = query.get('q') ?? '';
  const tag = query.get('tag') ?? '';
  const state = query.get('state') ?? '';
  const [enrolling, setEnrolling] = useState(query.get('enrol') !== null);
  const list = useMemo(
    () =>
      createPagedList<FleetDeviceAnswer>(async (cursor) => {
        const page = await listDevices({ q, tag, state, cursor, limit: PAGE_ROWS });
        const filtered = q !== '' || tag !== '' || state !== '';
        return { rows: page.devices, next: page.next_cursor, ...(filtered ? {} : { total: page.total }) };
      }),
    [q, tag, state],
  );
  useLive(
    ({ action }) =>
      action.startsWith('device.') || action.startsWith('rotation.') || action.startsWith('transfer.sent'),
    () => void list.refresh(({ id }) => id),
  );
  const { rows, next, expected } = list.state.value;
  return (
    <Page
      title="Devices"
      actions={
        mayChange.value ? (
          <Button kind="main" onClick={() => setEnrolling(true)}>
            Enrol a device
          </Button>
        ) : undefined
      }
    >
      <Filters>
        <SearchField
          label="Search"
          value={q}
          hint="Name, profile, tag, group or id"
          onSearch={(text) => setFilters({ q: text })}
        />
        <SelectField
          label="Key state"
          value={state}
          options={STATES}
          onChange={(value) => setFilters({ state: value })}
        />
        {tag === '' ? null : <Button onClick={() => setFilters({ tag: '' })}>tag: {tag} ×</Button>}
        <p class="soft found" role="status">
          {next === undefined
            ? ''
            : next === null
              ? countText(rows.length, 'device')
              : `${countText(expected, 'device')}${q !== '' || state !== '' ? ' or more' : ''}`}
        </p>
      </Filters>
      <WindowedTable
        list={list}
        columns={COLUMNS}
        keyOf={({ id }) => id}
        label="Devices"
        empty={
          q !== '' || tag !== '' || state !== '' ? (
            <Empty
              title="No device is like that"
              actions={<Button onClick={() => setFilters({ q: '', tag: '', state: '' })}>Show all devices</Button>}
            >
              <p>Search looks at names, profiles, tags and groups, in any case.</p>
            </Empty>
          ) : (
            <Empty title="No devices yet" command={enrolCommand('boiler-7')}>
              <p>
                Each device gets an API key of its own, which can be rotated without anybody going there. On the server:
              </p>
            </Empty>
          )
        }
      />
      {enrolling ? (
        <EnrolDialog onClose={() => setEnrolling(false)} onEnrolled={() => void list.refresh(({ id }) => id)} />
      ) : null}
    </Page>
  );
}

import { useMemo } from 'preact/hooks';
import type { TransferAnswer } from '#sdk/protocol';
import { listTransfers } from '../api/fleet.ts';
import { bytesText } from '../format/numbers.ts';
import { TRANSFER_STATES, transferWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button } from '../parts/button.tsx';
import { Empty } from '../parts/empty.tsx';
import { SelectField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { Filters, SearchField } from '../parts/search.tsx';
import { Time } from '../parts/time.tsx';
import { type Column, WindowedTable } from '../parts/windowed-table.tsx';
import { sendCommand } from '../state/commands.ts';
import { useLive } from '../state/live.ts';
import { createPagedList, PAGE_ROWS } from '../state/paged-list.ts';
import { href, place, setFilters } from '../state/route.ts';

const COLUMNS: readonly Column<TransferAnswer>[] = [
  {
    name: 'File',
    cell: (transfer) => (
      <span class="two">
        <a href={href('transfers', transfer.id)}>{transfer.filename}</a>
        <span class="soft">{transfer.recipient ?? 'no recipient'}</span>
      </span>
    ),
  },
  { name: 'State', cell: (transfer) => <Badge words={transferWords(transfer)} /> },
  { name: 'Size', room: 'more', figures: true, cell: ({ size }) => bytesText(size) },
  { name: 'Sent', figures: true, room: 'more', cell: ({ created_at }) => <Time at={created_at} /> },
  {
    name: 'Ends',
    room: 'most',
    figures: true,
    cell: ({ ended_at, expires_at }) => <Time at={ended_at ?? expires_at} />,
  },
];

const STATES = [
  ['', 'Any state'],
  ...TRANSFER_STATES.map((state) => [state, transferWords({ state, held: false }).text] as const),
] as const;

export function Transfers() {
  const { query } = place.value;
  const state = query.get('state') ?? '';
  const recipient = query.get('recipient') ?? '';
  const device = query.get('device') ?? '';
  const key = query.get('key') ?? '';
  const list = useMemo(
    () =>
      createPagedList<TransferAnswer>(async (cursor) => {
        const page = await listTransfers({ state, recipient, device, key, cursor, limit: PAGE_ROWS });
        return { rows: page.transfers, next: page.next_cursor };
      }),
    [state, recipient, device, key],
  );
  useLive(
    ({ action }) => action.startsWith('transfer.'),
    () => void list.refresh(({ id }) => id),
  );
  const filtered = state !== '' || recipient !== '' || device !== '' || key !== '';
  return (
    <Page title="Transfers">
      <Filters>
        <SearchField
          label="Recipient"
          value={recipient}
          hint="The whole address"
          onSearch={(text) => setFilters({ recipient: text })}
        />
        <SelectField label="State" value={state} options={STATES} onChange={(value) => setFilters({ state: value })} />
        {device === '' ? null : <Button onClick={() => setFilters({ device: '' })}>of one device ×</Button>}
        {key === '' ? null : <Button onClick={() => setFilters({ key: '' })}>of one key ×</Button>}
      </Filters>
      <WindowedTable
        list={list}
        columns={COLUMNS}
        keyOf={({ id }) => id}
        label="Transfers"
        empty={
          filtered ? (
            <Empty
              title="No transfer is like that"
              actions={
                <Button onClick={() => setFilters({ state: '', recipient: '', device: '', key: '' })}>
                  Show all transfers
                </Button>
              }
            >
              <p>A recipient is found by the whole address: the server keeps only a keyed digest of it to look by.</p>
            </Empty>
          ) : (
            <Empty title="No transfers yet" command={sendCommand('KEY')}>
              <p>Send a file with a device's key, or any API key. The answer is a link that works once:</p>
            </Empty>
          )
        }
      />
    </Page>
  );
}

import { useMemo, useState } from 'preact/hooks';
import type { AuditAnswer, AuditVerifyAnswer } from '#sdk/protocol';
import { wordsOf } from '../api/calls.ts';
import { listAudit, verifyAudit } from '../api/fleet.ts';
import { countText, numberText } from '../format/numbers.ts';
import { actionText, actionTone, actorText } from '../format/words.ts';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Copyable } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Subject } from '../parts/event-line.tsx';
import { Failure } from '../parts/failure.tsx';
import { Page } from '../parts/page.tsx';
import { Filters, SearchField } from '../parts/search.tsx';
import { Time } from '../parts/time.tsx';
import { type Column, WindowedTable } from '../parts/windowed-table.tsx';
import { useLive } from '../state/live.ts';
import { createPagedList, PAGE_ROWS } from '../state/paged-list.ts';
import { place, setFilters } from '../state/route.ts';

export function Audit() {
  const subject = place.value.query.get('subject') ?? '';
  const [opened, setOpened] = useState<AuditAnswer | null>(null);
  const list = useMemo(
    () =>
      createPagedList<AuditAnswer>(async (cursor) => {
        const page = await listAudit({ subject, cursor, limit: PAGE_ROWS });
        return { rows: page.entries, next: page.next_cursor };
      }),
    [subject],
  );
  useLive(
    () => true,
    () => void list.refresh(({ seq }) => String(seq)),
  );
  const columns: readonly Column<AuditAnswer>[] = [
    {
      name: 'What',
      cell: (entry) => (
        <button type="button" class="link what" onClick={() => setOpened(entry)}>
          <span class={`dot ${actionTone(entry)}`} aria-hidden="true" />
          {actionText(entry.action)}
          {entry.outcome === 'refused' ? ' (refused)' : ''}
        </button>
      ),
    },
    { name: 'About', room: 'more', cell: (entry) => <Subject event={entry} /> },
    { name: 'By', room: 'most', cell: ({ actor }) => <span class="cut">{actorText(actor)}</span> },
    { name: 'When', figures: true, cell: ({ at }) => <Time at={at} /> },
    { name: 'No.', room: 'most', figures: true, cell: ({ seq }) => numberText(seq) },
  ];
  return (
    <Page title="Audit">
      <Verification />
      <Filters>
        <SearchField
          label="About"
          value={subject}
          hint="A whole id: of a device, transfer, key, campaign"
          onSearch={(text) => setFilters({ subject: text })}
        />
      </Filters>
      <WindowedTable
        list={list}
        columns={columns}
        keyOf={({ seq }) => String(seq)}
        label="Audit"
        empty={<p class="soft">There is no entry about that.</p>}
      />
      {opened === null ? null : <Entry of={opened} onClose={() => setOpened(null)} />}
    </Page>
  );
}

function Verification() {
  const [busy, setBusy] = useState(false);
  const [found, setFound] = useState<AuditVerifyAnswer | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const verify = async () => {
    setBusy(true);
    setFailed(null);
    try {
      setFound(await verifyAudit());
    } catch (error) {
      setFailed(wordsOf(error));
    }
    setBusy(false);
  };
  return (
    <Card
      title="The chain"
      about="Each entry carries the digest of the one before it: what was changed or taken out afterwards is found."
      actions={
        <Button kind="main" busy={busy} onClick={() => void verify()}>
          {busy ? 'Verifying…' : 'Verify the chain'}
        </Button>
      }
    >
      {failed === null ? null : <Failure text={failed} />}
      <div role="status">{found === null ? null : <Verdict found={found} />}</div>
    </Card>
  );
}

function Verdict({ found }: { found: AuditVerifyAnswer }) {
  if (!found.ok) {
    return (
      <p class="notice bad">
        <strong>The chain does not hold</strong> from entry {found.broken === null ? '?' : numberText(found.broken.seq)}{' '}
        on: {found.broken?.reason}
      </p>
    );
  }
  return (
    <>
      <p class="notice good">All {countText(found.entries, 'entry', 'entries')} hold.</p>
      {found.head === null ? null : (
        <details>
          <summary>Note the head down, to find later whether the end was cut off</summary>
          <Copyable text={`seq=${found.head.seq}&hash=${found.head.hash}`} what="the head of the chain" />
          <p class="hint">
            Give both to <code>GET /v1/audit/verify</code> another day.
          </p>
        </details>
      )}
    </>
  );
}

function Entry({ of, onClose }: { of: AuditAnswer; onClose: () => void }) {
  return (
    <Dialog title={actionText(of.action)} onClose={onClose}>
      <div class="dialog-body">
        <dl class="facts">
          <div>
            <dt>When</dt>
            <dd>
              <Time at={of.at} as="local" />
            </dd>
          </div>
          <div>
            <dt>By</dt>
            <dd>{actorText(of.actor)}</dd>
          </div>
          <div>
            <dt>From</dt>
            <dd>{of.from}</dd>
          </div>
          <div>
            <dt>About</dt>
            <dd>
              <code>{of.subject}</code>
            </dd>
          </div>
          {Object.entries(of.detail).map(([name, value]) => (
            <div key={name}>
              <dt>{name.replaceAll('_', ' ')}</dt>
              <dd>{typeof value === 'object' ? JSON.stringify(value) : String(value)}</dd>
            </div>
          ))}
          <div>
            <dt>Entry</dt>
            <dd>{numberText(of.seq)}</dd>
          </div>
          <div>
            <dt>Digest</dt>
            <dd>
              <code>{of.hash}</code>
            </dd>
          </div>
        </dl>
      </div>
      <footer class="dialog-foot">
        <Button onClick={onClose}>Close</Button>
      </footer>
    </Dialog>
  );
}

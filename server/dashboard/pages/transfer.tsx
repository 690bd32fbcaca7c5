import { useState } from 'preact/hooks';
import type { TransferAnswer } from '#sdk/protocol';
import { wordsOf } from '../api/calls.ts';
import * as api from '../api/fleet.ts';
import { bytesText, numberText } from '../format/numbers.ts';
import { transferWords } from '../format/words.ts';
import { Badge } from '../parts/badge.tsx';
import { Button } from '../parts/button.tsx';
import { Card, Facts } from '../parts/card.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Failure, Waiting } from '../parts/failure.tsx';
import { Page } from '../parts/page.tsx';
import { Time } from '../parts/time.tsx';
import { useLive } from '../state/live.ts';
import { useLoaded } from '../state/loaded.ts';
import { receiptEvents } from '../state/receipt.ts';
import { href } from '../state/route.ts';
import { who } from '../state/session.ts';
import { attempt, say } from '../state/toasts.ts';

async function look(id: string) {
  const [transfer, audit] = await Promise.all([api.getTransfer(id), api.listAudit({ subject: id, limit: 100 })]);
  return { transfer, audit: audit.entries };
}

export function Transfer({ id }: { id: string }) {
  const { value, error, reload } = useLoaded(id, () => look(id));
  useLive(({ subject }) => subject === id, reload);
  const [burning, setBurning] = useState(false);
  const crumb = <a href={href('transfers')}>Transfers</a>;
  if (value === null) {
    return (
      <Page title="Transfer" crumb={crumb}>
        {error === null ? <Waiting what="the transfer" /> : <Failure text={wordsOf(error)} retry={reload} />}
      </Page>
    );
  }
  const { transfer, audit } = value;
  const alive = transfer.ended_at === null;
  const reopen = async () => {
    if ((await attempt(() => api.reopenTransfer(id), 'It can be read again.')) !== null) reload();
  };
  return (
    <Page
      title={transfer.filename}
      crumb={crumb}
      badge={<Badge words={transferWords(transfer)} />}
      actions={
        alive && who.value?.role !== 'auditor' ? (
          <>
            {transfer.held ? (
              <Button kind="main" onClick={() => void reopen()}>
                Open again
              </Button>
            ) : null}
            <Button kind="danger" onClick={() => setBurning(true)}>
              Burn now
            </Button>
          </>
        ) : undefined
      }
    >
      <div class="columns">
        <Card title="Receipt">
          <ol class="timeline">
            {receiptEvents(transfer, audit).map((event) => (
              <li key={`${event.at} ${event.text}`} class={`${event.tone}${event.ahead ? ' ahead' : ''}`}>
                <span class="soft">
                  <Time at={event.at} as="local" />
                </span>
                <span>{event.text}</span>
              </li>
            ))}
          </ol>
        </Card>
        <Card title="File">
          <Facts facts={factsOf(transfer)} />
        </Card>
      </div>
      {burning ? (
        <Confirm
          title={`Burn ${transfer.filename}?`}
          action="Burn now"
          onConfirm={async () => {
            await api.burnTransfer(id);
            say('done', 'Burned. Its link says so from now on.');
            reload();
          }}
          onClose={() => setBurning(false)}
        >
          <p>
            Its bytes are deleted now, read or not. Whoever opens the link is told that its sender took the file back.
          </p>
        </Confirm>
      ) : null}
    </Page>
  );
}

function factsOf(transfer: TransferAnswer) {
  return [
    [
      'Size',
      <span key="size" title={`${numberText(transfer.size)} bytes`}>
        {bytesText(transfer.size)}
      </span>,
    ] as const,
    ['Recipient', transfer.recipient ?? <span class="soft">none named</span>] as const,
    transfer.note === null
      ? null
      : ([
          'Note',
          <span key="note" class="note">
            {transfer.note}
          </span>,
        ] as const),
    ['Sealed end to end', transfer.sealed ? 'yes' : 'no'] as const,
    ['Read attempts', `${transfer.attempts} of ${transfer.attempts_max} at most, then it is held`] as const,
    ['Served in all', bytesText(transfer.bytes_served)] as const,
    [
      'Sent by',
      transfer.device_id === null ? (
        <a key="by" href={href('keys')}>
          an account key
        </a>
      ) : (
        <a key="by" href={href('devices', transfer.device_id)}>
          its device
        </a>
      ),
    ] as const,
    transfer.sha256 === null ? null : (['SHA-256', <code key="sha">{transfer.sha256}</code>] as const),
    ['Receipt is kept until', <Time key="until" at={transfer.receipt_until} as="local" />] as const,
    ['Id', <code key="id">{transfer.id}</code>] as const,
  ];
}

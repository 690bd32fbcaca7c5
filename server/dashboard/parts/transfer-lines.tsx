import type { TransferAnswer } from '#sdk/protocol';
import { transferWords } from '../format/words.ts';
import { href } from '../state/route.ts';
import { Badge } from './badge.tsx';
import { Time } from './time.tsx';

/** A few transfers, one a line, each a way to its receipt. */
export function TransferLines({ transfers }: { transfers: readonly TransferAnswer[] }) {
  return (
    <ul class="lines">
      {transfers.map((transfer) => (
        <li key={transfer.id}>
          <a class="grow" href={href('transfers', transfer.id)}>
            {transfer.filename}
          </a>
          <Badge words={transferWords(transfer)} />
          <span class="soft">
            <Time at={transfer.created_at} />
          </span>
        </li>
      ))}
    </ul>
  );
}

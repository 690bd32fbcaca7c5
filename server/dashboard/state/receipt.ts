import type { AuditAnswer, TransferAnswer } from '#sdk/protocol';
import { bytesText } from '../format/numbers.ts';
import { deliveredWords } from '../format/words.ts';

export interface ReceiptEvent {
  at: string;
  text: string;
  tone: 'good' | 'busy' | 'warn' | 'bad' | 'quiet';
  /** It has not happened yet. */
  ahead: boolean;
}

/**
 * A transfer's life as its receipt and the audit tell it, oldest first. Claims are of the audit: the receipt keeps only
 * the last.
 */
export function receiptEvents(transfer: TransferAnswer, audit: readonly AuditAnswer[]): ReceiptEvent[] {
  const events: ReceiptEvent[] = [{ at: transfer.created_at, text: 'The upload began.', tone: 'quiet', ahead: false }];
  if (transfer.ready_at !== null) {
    events.push({
      at: transfer.ready_at,
      text: `All ${bytesText(transfer.size)} are here, sealed; the link was given out.`,
      tone: 'quiet',
      ahead: false,
    });
  }
  for (const entry of audit) {
    const told = TOLD[entry.action];
    if (told !== undefined) events.push({ at: entry.at, ahead: false, ...told(entry) });
  }
  if (transfer.ended_at !== null) events.push({ at: transfer.ended_at, ahead: false, ...ending(transfer) });
  else
    events.push({
      at: transfer.expires_at,
      text: 'If nobody has read it by then, it expires.',
      tone: 'warn',
      ahead: true,
    });
  const order = events.map((event, at) => ({ event, at }));
  order.sort((a, b) => Date.parse(a.event.at) - Date.parse(b.event.at) || a.at - b.at);
  return order.map(({ event }) => event);
}

const TOLD: Readonly<Record<string, (entry: AuditAnswer) => Pick<ReceiptEvent, 'text' | 'tone'>>> = {
  'transfer.claimed': ({ from }) => ({ text: `A reader began, from ${from}.`, tone: 'busy' }),
  'transfer.reopened': ({ actor }) => ({ text: `Opened again by ${actor.replace(/^\w+:/, '')}.`, tone: 'busy' }),
};

function ending(transfer: TransferAnswer): Pick<ReceiptEvent, 'text' | 'tone'> {
  switch (transfer.state) {
    case 'burned':
      return { text: `Delivered and burned: ${deliveredWords(transfer.delivered_by)}.`, tone: 'good' };
    case 'revoked':
      return { text: 'Burned by its owner; nobody can read it any more.', tone: 'bad' };
    case 'expired':
      return { text: 'Expired; its bytes are gone.', tone: 'warn' };
    default:
      return { text: `Ended as ${transfer.state}.`, tone: 'quiet' };
  }
}

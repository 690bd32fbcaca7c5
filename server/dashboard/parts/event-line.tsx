import type { AuditAnswer } from '#sdk/protocol';
import { actionText, actionTone, actorText, shortId } from '../format/words.ts';
import { href } from '../state/route.ts';
import { Time } from './time.tsx';

/** Where the subject of an entry is looked at; null where it has no page. */
export function subjectHref(subject: string): string | null {
  if (subject.startsWith('dev_')) return href('devices', subject);
  if (subject.startsWith('cmp_')) return href('campaigns', subject);
  if (subject.startsWith('key_')) return href('keys');
  return null;
}

export function Subject({ event }: { event: AuditAnswer }) {
  const to = event.action.startsWith('transfer.') ? href('transfers', event.subject) : subjectHref(event.subject);
  const text = typeof event.detail['name'] === 'string' ? event.detail['name'] : shortId(event.subject);
  return to === null ? (
    <span class="id" title={event.subject}>
      {text}
    </span>
  ) : (
    <a href={to} title={event.subject}>
      {text}
    </a>
  );
}

/** One entry of the audit in one line. */
export function EventLine({ event }: { event: AuditAnswer }) {
  return (
    <li class="event">
      <span class={`dot ${actionTone(event)}`} aria-hidden="true" />
      <span class="event-when">
        <Time at={event.at} as="clock" />
      </span>
      <span class="event-what">
        {actionText(event.action)}
        {event.outcome === 'refused' ? ' (refused)' : ''}
      </span>
      <span class="event-about">
        <Subject event={event} />
      </span>
      <span class="soft event-who" title={event.actor}>
        {actorText(event.actor)}
      </span>
    </li>
  );
}

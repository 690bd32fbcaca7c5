import type { AuditAnswer } from '#sdk/protocol';

/** Whether an event has the words in it. */
export function eventFits(event: AuditAnswer, words: string): boolean {
  const wanted = words.trim().toLowerCase();
  if (wanted === '') return true;
  const text = [event.action, event.actor, event.subject, event.from, JSON.stringify(event.detail)].join(' ');
  return text.toLowerCase().includes(wanted);
}

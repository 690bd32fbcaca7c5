import { useState } from 'preact/hooks';
import type { AuditAnswer } from '#sdk/protocol';
import { countText } from '../format/numbers.ts';
import { Button } from '../parts/button.tsx';
import { Card } from '../parts/card.tsx';
import { Empty } from '../parts/empty.tsx';
import { EventLine } from '../parts/event-line.tsx';
import { TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { Filters } from '../parts/search.tsx';
import { eventsCommand } from '../state/commands.ts';
import { eventFits } from '../state/event-filter.ts';
import { heard, streamState } from '../state/live.ts';
import { href } from '../state/route.ts';

const WORDS = {
  off: 'Off.',
  connecting: 'Connecting…',
  live: 'Live: what happens shows up here by itself.',
  waiting: 'The connection broke. It comes back by itself, and what was missed is told then.',
} as const;

export function Events() {
  const [words, setWords] = useState('');
  const [held, setHeld] = useState<readonly AuditAnswer[] | null>(null);
  const shown = (held ?? heard.value).filter((event) => eventFits(event, words));
  const missed = held === null ? 0 : heard.value.length - held.length;
  return (
    <Page
      title="Events"
      actions={
        <Button onClick={() => setHeld(held === null ? heard.value : null)}>{held === null ? 'Hold' : 'Go on'}</Button>
      }
    >
      <Filters>
        <TextField
          label="Show only"
          type="search"
          value={words}
          onInput={setWords}
          placeholder="e.g. transfer, or an e-mail"
        />
        <p class="soft found" role="status">
          {held === null ? WORDS[streamState.value] : `Held; ${countText(Math.max(0, missed), 'event')} came since.`}
        </p>
      </Filters>
      <Card title="As it happens" actions={<a href={href('audit')}>All of the past</a>}>
        {shown.length === 0 ? (
          <Empty title={heard.value.length === 0 ? 'No events yet' : 'Nothing of that kind'} command={eventsCommand()}>
            <p>The same stream for your own programs, resumed after a break where it was:</p>
          </Empty>
        ) : (
          <ul class="lines log">
            {shown.map((event) => (
              <EventLine key={event.seq} event={event} />
            ))}
          </ul>
        )}
      </Card>
    </Page>
  );
}

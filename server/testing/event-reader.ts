/** One server-sent event as it came: fields that were not sent are null. */
export interface SentEvent {
  id: number | null;
  event: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: an event is whatever the server said; each test says what it expects.
  data: any;
}

/** A listener to `/v1/events`, as a browser's EventSource is one, which keeps everything it hears. */
export interface EventReader {
  status: number;
  headers: Headers;
  /** Events with data, in the order they came. */
  events: SentEvent[];
  /** What `Last-Event-ID` would say now. */
  lastId: number | null;
  /** Comments heard: signs of life. */
  comments: number;
  /** Resolves with the next event that was not taken yet; rejects when the stream ends first. */
  next(): Promise<SentEvent>;
  /** Resolves when the server has ended the stream. */
  ended: Promise<void>;
  close(): void;
}

export async function listenTo(url: string, headers: Record<string, string>, query = ''): Promise<EventReader> {
  const breaker = new AbortController();
  const answer = await fetch(`${url}/v1/events${query}`, { headers, signal: breaker.signal });
  let taken = 0;
  let over = false;
  let wake = () => {};
  const reader: EventReader = {
    status: answer.status,
    headers: answer.headers,
    events: [],
    lastId: null,
    comments: 0,
    async next() {
      while (taken === reader.events.length) {
        if (over) throw new Error('the stream ended before the next event');
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return reader.events[taken++] as SentEvent;
    },
    ended: Promise.resolve(),
    close: () => breaker.abort(),
  };
  reader.ended = readAll(answer, reader, () => wake()).finally(() => {
    over = true;
    wake();
  });
  reader.ended.catch(() => undefined);
  return reader;
}

async function readAll(answer: Response, reader: EventReader, heard: () => void): Promise<void> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of answer.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      take(text.slice(0, end), reader);
      text = text.slice(end + 2);
    }
    heard();
  }
}

function take(block: string, reader: EventReader): void {
  const event: SentEvent = { id: null, event: null, data: undefined };
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === '') reader.comments++;
    if (name === 'id') event.id = Number(value);
    if (name === 'event') event.event = value;
    if (name === 'data') event.data = JSON.parse(value);
  }
  if (event.id !== null) reader.lastId = event.id;
  if (event.data !== undefined) reader.events.push(event);
}

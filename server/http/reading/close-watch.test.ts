import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { CloseWatch } from './close-watch.ts';
import type { SocketState } from './socket-state.ts';

/** A connection whose other side does what a test says, and whose system reports what it says. */
function connection(states: SocketState[]) {
  const events: string[] = [];
  const socket = Object.assign(new EventEmitter(), {
    destroyed: false,
    localAddress: '127.0.0.1',
    localPort: 1,
    remoteAddress: '127.0.0.1',
    remotePort: 2,
    end: () => void events.push('our end'),
    destroySoon: () => void events.push('destroySoon'),
    destroy: () => void events.push('destroy'),
  });
  const answer = { lastByteWritten: false };
  const looks: SocketState[] = [];
  const watch = new CloseWatch(
    socket as unknown as Socket,
    () => answer.lastByteWritten,
    async () => {
      const state = states.length > 1 ? (states.shift() as SocketState) : (states[0] as SocketState);
      looks.push(state);
      return state;
    },
  );
  return { socket, answer, watch, events, looks };
}

const known = (unackedBytes: number, peerClosed = true): SocketState => ({ kind: 'known', unackedBytes, peerClosed });
const LIMITS = { lingerMs: 20, stallMs: 100 };

describe('CloseWatch', () => {
  it.each([
    ['everything confirmed', [known(0)], 'proven'],
    ['confirmed after a while', [known(9_000), known(4_000), known(0)], 'proven'],
    ['closed with bytes in flight, which then reset it', [known(9_000), { kind: 'gone' }], 'broken'],
    ['closed with bytes in flight, and nothing more is heard', [known(9_000)], 'broken'],
    ['a system that does not tell', [{ kind: 'unknown' }], 'proven'],
  ] as [string, SocketState[], string][])(
    'closed in order behind the answer: %s → %s',
    async (_name, states, verdict) => {
      const { socket, answer, watch } = connection(states);
      answer.lastByteWritten = true;
      socket.emit('end');
      expect(await watch.verdict(LIMITS)).toBe(verdict);
    },
  );

  it('a client that half-closes before the last byte was written → proves nothing, and nobody looks', async () => {
    const { socket, answer, watch, looks } = connection([known(0)]);
    socket.emit('end');
    answer.lastByteWritten = true;
    expect(await watch.verdict(LIMITS)).toBe('broken');
    expect(looks).toEqual([]);
  });

  it.each(['error', 'close'])('%s instead of a close in order → broken', async (event) => {
    const { socket, answer, watch } = connection([known(0)]);
    answer.lastByteWritten = true;
    socket.emit(event, new Error('ECONNRESET'));
    expect(await watch.verdict(LIMITS)).toBe('broken');
  });

  it('a reset behind a close in order → broken', async () => {
    const second = connection([known(5), { kind: 'unknown' }]);
    second.answer.lastByteWritten = true;
    second.socket.emit('end');
    const verdict = second.watch.verdict(LIMITS);
    second.socket.emit('error', new Error('ECONNRESET'));
    expect(await verdict).toBe('broken');
  });

  it('a client that waits for our close → gets it after the linger, and its own close behind it counts', async () => {
    const { socket, answer, watch, events } = connection([known(0, false), known(0)]);
    answer.lastByteWritten = true;
    socket.end = (() => {
      throw new Error('Node may not end it');
    }) as never;
    const verdict = watch.verdict(LIMITS);
    const answered = new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (!events.includes('our end')) return;
        clearInterval(timer);
        socket.emit('end');
        resolve();
      }, 1);
    });
    await answered;
    expect(await verdict).toBe('proven');
  });

  it('a slow client that is still taking what is in flight → waited for as long as it takes', async () => {
    const draining = Array.from({ length: 6 }, (_, i) => known(6_000 - i * 1_000, false));
    const { socket, answer, watch, looks, events } = connection([...draining, known(0)]);
    answer.lastByteWritten = true;
    const verdict = watch.verdict(LIMITS);
    const timer = setInterval(() => {
      if (looks.length < 5) return;
      clearInterval(timer);
      socket.emit('end');
    }, 1);
    expect(await verdict).toBe('proven');
    expect(events).toEqual([]);
  });

  it('a client that never closes → broken in the end', async () => {
    const { answer, watch, events } = connection([known(0, false)]);
    answer.lastByteWritten = true;
    expect(await watch.verdict(LIMITS)).toBe('broken');
    expect(events).toEqual(['our end']);
  });

  it('a goodbye over TLS whose connection stays open → answered with ours, and counts', async () => {
    const { socket, answer, watch, events } = connection([known(0, false)]);
    answer.lastByteWritten = true;
    socket.emit('end');
    expect(await watch.verdict(LIMITS)).toBe('proven');
    expect(events).toEqual(['our end']);
  });

  it('while it is watched Node cannot end the socket; released, it can', () => {
    const { socket, watch, events } = connection([known(0)]);
    socket.end();
    socket.destroySoon();
    expect(events).toEqual([]);
    watch.release();
    socket.destroySoon();
    expect(events).toEqual(['our end', 'destroySoon']);
  });
});

import { signal } from '@preact/signals';
import { wordsOf } from '../api/calls.ts';

export interface Toast {
  id: number;
  kind: 'done' | 'failed';
  text: string;
}

const SHOWN_MS = 6_000;
const SHOWN_MAX = 4;

export const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

/** Says something in passing. What failed stays until it is put away. */
export function say(kind: Toast['kind'], text: string): void {
  const toast = { id: ++lastId, kind, text };
  toasts.value = [...toasts.value, toast].slice(-SHOWN_MAX);
  if (kind === 'done') setTimeout(() => putAway(toast.id), SHOWN_MS);
}

export function putAway(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Does something and says how it went. Null where it failed. */
export async function attempt<T>(act: () => Promise<T>, done: string): Promise<T | null> {
  try {
    const answer = await act();
    say('done', done);
    return answer;
  } catch (error) {
    say('failed', wordsOf(error));
    return null;
  }
}

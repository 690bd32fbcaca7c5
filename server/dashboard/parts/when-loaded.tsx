import type { ComponentChildren } from 'preact';
import { wordsOf } from '../api/calls.ts';
import type { Loaded } from '../state/loaded.ts';
import { Failure, Waiting } from './failure.tsx';

/** What was loaded, once it is there; until then that it is on its way, or why it did not come. */
export function WhenLoaded<T>({
  of: { value, error, reload },
  what,
  children,
}: {
  of: Loaded<T>;
  what: string;
  children: (value: T) => ComponentChildren;
}) {
  if (value !== null) return <>{children(value)}</>;
  return error === null ? <Waiting what={what} /> : <Failure text={wordsOf(error)} retry={reload} />;
}

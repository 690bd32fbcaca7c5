import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { TextField } from './field.tsx';

const SETTLE_MS = 250;

/** A search box that asks when the typing pauses. */
export function SearchField({
  label,
  value,
  onSearch,
  hint,
}: {
  label: string;
  value: string;
  hint?: string;
  onSearch: (value: string) => void;
}) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <TextField
      label={label}
      type="search"
      value={text}
      maxLength={100}
      {...(hint === undefined ? {} : { placeholder: hint })}
      onInput={(now) => {
        setText(now);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => onSearch(now.trim()), SETTLE_MS);
      }}
    />
  );
}

/** The filters of a list, in a row where there is room. */
export function Filters({ children }: { children: ComponentChildren }) {
  return <search class="filters">{children}</search>;
}

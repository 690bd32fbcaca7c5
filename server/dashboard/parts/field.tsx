import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface Common {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  required?: boolean;
}

interface Inputs extends Common {
  value: string;
  onInput: (value: string) => void;
  type?: 'text' | 'email' | 'password' | 'search' | 'number' | 'datetime-local';
  autocomplete?: string;
  inputMode?: 'numeric' | 'email' | 'text';
  placeholder?: string;
  min?: number;
  max?: number;
  maxLength?: number;
  unit?: string;
  autofocus?: boolean;
}

/** A labelled field; hint and error are tied to it for screen readers. */
export function TextField(props: Inputs) {
  const id = useId();
  const { label, hint, error, value, onInput, type = 'text', unit } = props;
  const described = [hint === undefined ? '' : `${id}-hint`, error === undefined ? '' : `${id}-error`].join(' ').trim();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={unit === undefined ? 'input' : 'input with-unit'}>
        <input
          id={id}
          {...({ type } as object)}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
          required={props.required === true}
          autocomplete={props.autocomplete ?? 'off'}
          inputMode={props.inputMode}
          placeholder={props.placeholder}
          min={props.min}
          max={props.max}
          maxLength={props.maxLength}
          spellcheck={false}
          aria-describedby={described === '' ? undefined : described}
          aria-invalid={error === undefined ? undefined : 'true'}
        />
        {unit === undefined ? null : <span class="unit">{unit}</span>}
      </div>
      {hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error === undefined ? null : (
        <p class="field-error" id={`${id}-error`}>
          {error}
        </p>
      )}
    </div>
  );
}

export function SelectField({
  label,
  hint,
  value,
  options,
  onChange,
}: Common & {
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  onChange: (value: string) => void;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
      {hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** Something that is on or off, with what that means. */
export function Switch({
  label,
  hint,
  on,
  onChange,
  disabled,
}: {
  label: string;
  hint: string;
  on: boolean;
  onChange: (on: boolean) => void;
  disabled?: boolean;
}) {
  const id = useId();
  return (
    <div class="switch-row">
      <div>
        <label for={id}>{label}</label>
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      </div>
      <input
        id={id}
        type="checkbox"
        role="switch"
        aria-checked={on}
        class="switch"
        checked={on}
        disabled={disabled}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </div>
  );
}

export function Checkbox({
  label,
  on,
  onChange,
}: {
  label: ComponentChildren;
  on: boolean;
  onChange: (on: boolean) => void;
}) {
  return (
    <label class="checkbox">
      <input type="checkbox" checked={on} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

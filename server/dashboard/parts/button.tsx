import type { ComponentChildren } from 'preact';

export interface ButtonProps {
  children: ComponentChildren;
  onClick?: () => void;
  kind?: 'main' | 'plain' | 'danger' | 'quiet';
  type?: 'button' | 'submit';
  busy?: boolean;
  disabled?: boolean;
  label?: string;
}

/** A button; while `busy` it says so and takes no second press. */
export function Button({ children, onClick, kind = 'plain', type = 'button', busy, disabled, label }: ButtonProps) {
  return (
    <button
      type={type}
      class={`button ${kind}`}
      onClick={onClick}
      disabled={disabled === true || busy === true}
      aria-busy={busy === true ? 'true' : undefined}
      aria-label={label}
    >
      {children}
    </button>
  );
}

/** A link that looks like a button: it goes somewhere, it does nothing. */
export function ButtonLink({
  href,
  kind = 'plain',
  children,
}: {
  href: string;
  kind?: string;
  children: ComponentChildren;
}) {
  return (
    <a class={`button ${kind}`} href={href}>
      {children}
    </a>
  );
}

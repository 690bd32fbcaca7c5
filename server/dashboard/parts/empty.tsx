import type { ComponentChildren } from 'preact';
import { Copyable } from './copy.tsx';

/** Where there is nothing yet: what this is for, and the step that fills it. */
export function Empty({
  title,
  children,
  command,
  actions,
}: {
  title: string;
  children: ComponentChildren;
  command?: string;
  actions?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      <div class="empty-text">{children}</div>
      {actions === undefined ? null : <div class="actions">{actions}</div>}
      {command === undefined ? null : <Copyable text={command} what={`the command: ${title}`} />}
    </div>
  );
}

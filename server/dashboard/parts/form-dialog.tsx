import type { ComponentChildren } from 'preact';
import { wordsOf } from '../api/calls.ts';
import type { Submission } from '../state/submission.ts';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { Failure } from './failure.tsx';

/** A dialog with a form: fields, what it was refused for, and two buttons. `told`: a field says it already. */
export function FormDialog({
  title,
  action,
  form,
  told,
  onClose,
  children,
}: {
  title: string;
  action: string;
  form: Submission;
  told?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}) {
  return (
    <Dialog title={title} onClose={onClose}>
      <FormBody action={action} form={form} told={told === true} onClose={onClose}>
        {children}
      </FormBody>
    </Dialog>
  );
}

/** The same within a dialog that goes on to something else. */
export function FormBody({
  action,
  form: { busy, failed, submit },
  told,
  onClose,
  children,
}: {
  action: string;
  form: Submission;
  told?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}) {
  return (
    <form onSubmit={submit}>
      <div class="dialog-body">
        {children}
        {failed === null || told === true ? null : <Failure text={wordsOf(failed)} />}
      </div>
      <footer class="dialog-foot">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="main" type="submit" busy={busy}>
          {action}
        </Button>
      </footer>
    </form>
  );
}

/** What is shown only now: left by its own button, which says that it was saved. */
export function ShownOnce({
  title,
  warning,
  saved,
  beside,
  onClose,
  children,
}: {
  title: string;
  warning: string;
  /** What the button says, "I have saved it" unless it is said. */
  saved?: string;
  /** Beside the button. */
  beside?: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
}) {
  return (
    <Dialog title={title} onClose={onClose} locked>
      <div class="dialog-body">
        <p class="notice warn">{warning}</p>
        {children}
      </div>
      <footer class="dialog-foot">
        {beside}
        <Button kind="main" onClick={onClose}>
          {saved ?? 'I have saved it'}
        </Button>
      </footer>
    </Dialog>
  );
}

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { wordsOf } from '../api/calls.ts';
import { Button } from './button.tsx';
import { Failure } from './failure.tsx';

/** A dialog over the page, open while it is rendered. `locked`: it is left by its own buttons only. */
export function Dialog({
  title,
  onClose,
  children,
  locked,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  locked?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    if (element !== null && !element.open) element.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (locked !== true) onClose();
      }}
    >
      <header class="dialog-head">
        <h2 id={id}>{title}</h2>
        {locked === true ? null : (
          <Button kind="quiet" label="Close" onClick={onClose}>
            <span aria-hidden="true">×</span>
          </Button>
        )}
      </header>
      {children}
    </dialog>
  );
}

/**
 * Asks before something that cannot be taken back. What the server refuses is said in the dialog, which stays; `stay` as
 * an answer keeps whatever has taken its place.
 */
export function Confirm({
  title,
  children,
  action,
  kind = 'danger',
  onConfirm,
  onClose,
}: {
  title: string;
  children: ComponentChildren;
  action: string;
  kind?: 'main' | 'danger';
  onConfirm: () => Promise<unknown>;
  onClose: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<string | null>(null);
  const confirm = async () => {
    setBusy(true);
    setFailed(null);
    try {
      if ((await onConfirm()) !== 'stay') onClose();
    } catch (error) {
      setBusy(false);
      setFailed(wordsOf(error));
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">
        {children}
        {failed === null ? null : <Failure text={failed} />}
      </div>
      <footer class="dialog-foot">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind={kind} busy={busy} onClick={confirm}>
          {action}
        </Button>
      </footer>
    </Dialog>
  );
}

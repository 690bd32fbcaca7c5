import { putAway, toasts } from '../state/toasts.ts';
import { Button } from './button.tsx';

/** What was said in passing. The region stays, so that screen readers hear what comes into it. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, kind, text }) => (
        <div class={`toast ${kind}`} key={id}>
          <span>{text}</span>
          <Button kind="quiet" label="Put away" onClick={() => putAway(id)}>
            <span aria-hidden="true">×</span>
          </Button>
        </div>
      ))}
    </div>
  );
}

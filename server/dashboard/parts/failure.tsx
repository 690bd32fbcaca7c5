import { Button } from './button.tsx';

/** What went wrong, said where it went wrong. */
export function Failure({ text, retry }: { text: string; retry?: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>{text}</p>
      {retry === undefined ? null : <Button onClick={retry}>Try again</Button>}
    </div>
  );
}

/** While something is on its way for the first time. */
export function Waiting({ what }: { what: string }) {
  return (
    <p class="waiting" role="status">
      Loading {what}…
    </p>
  );
}

import { useRef, useState } from 'preact/hooks';
import { say } from '../state/toasts.ts';
import { Button } from './button.tsx';

/** Puts text on the clipboard. Without HTTPS browsers have no clipboard for scripts: then what is selected is copied. */
async function copy(text: string, shown: HTMLElement | null): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => copySelected(shown),
    );
  }
  return copySelected(shown);
}

function copySelected(shown: HTMLElement | null): boolean {
  const selection = getSelection();
  if (shown === null || selection === null) return false;
  selection.selectAllChildren(shown);
  return document.execCommand('copy');
}

/** Text to take along: a command, a key, codes. `what` names it for the button and the word that it was copied. */
export function Copyable({ text, what, secret }: { text: string; what: string; secret?: boolean }) {
  const shown = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState(false);
  return (
    <div class={secret === true ? 'copyable secret' : 'copyable'}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section class="scrolls" tabIndex={0} aria-label={what}>
        <pre>
          <code ref={shown}>{text}</code>
        </pre>
      </section>
      <Button
        label={`Copy ${what}`}
        onClick={async () => {
          const done = await copy(text, shown.current);
          setCopied(done);
          say(done ? 'done' : 'failed', done ? `Copied: ${what}` : 'The browser refused to copy: select it by hand.');
        }}
      >
        {copied ? 'Copied' : 'Copy'}
      </Button>
    </div>
  );
}

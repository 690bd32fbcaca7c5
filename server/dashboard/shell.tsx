import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Button } from './parts/button.tsx';
import { Mark } from './parts/mark.tsx';
import { streamState } from './state/live.ts';
import { href, place } from './state/route.ts';
import { leave, minutesLeft, who } from './state/session.ts';
import { attempt } from './state/toasts.ts';

const SECTIONS: readonly (readonly [page: string, text: string])[] = [
  ['', 'Overview'],
  ['devices', 'Devices'],
  ['campaigns', 'Campaigns'],
  ['transfers', 'Transfers'],
  ['firmware', 'Firmware'],
  ['keys', 'API keys'],
  ['events', 'Events'],
  ['audit', 'Audit'],
  ['settings', 'Settings'],
];

/** Pages that are found under another section. */
const PARENTS: Readonly<Record<string, string>> = { incident: 'keys' };

const WARN_MINUTES = 5;

/** What stands around every page: where one can go, who one is, and how long that holds. */
export function Shell({ children }: { children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const { page, id } = place.value;
  useEffect(() => setOpen(false), [page, id]);
  return (
    <div class="shell">
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header class="side">
        <div class="side-head">
          <a class="brand" href={href('')} aria-label="Fuselink, overview">
            <Mark />
            <span>Fuselink</span>
          </a>
          <button
            type="button"
            class="menu-button"
            aria-expanded={open ? 'true' : 'false'}
            aria-controls="menu"
            onClick={() => setOpen(!open)}
          >
            Menu
          </button>
        </div>
        <div id="menu" class={open ? 'menu open' : 'menu'}>
          <nav aria-label="Sections">
            <ul>
              {SECTIONS.map(([section, text]) => (
                <li key={section}>
                  <a href={href(section)} aria-current={section === (PARENTS[page] ?? page) ? 'page' : undefined}>
                    {text}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          <Person />
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        <SessionEnds />
        {children}
      </main>
    </div>
  );
}

const STREAM_WORDS = {
  off: 'Live updates are off',
  connecting: 'Connecting…',
  live: 'Live',
  waiting: 'Reconnecting…',
} as const;

function Person() {
  const { email, role } = who.value ?? { email: null, role: 'auditor' };
  return (
    <div class="person">
      <p class={`stream ${streamState.value}`}>{STREAM_WORDS[streamState.value]}</p>
      <p class="email" title={email ?? ''}>
        {email}
      </p>
      <p class="soft">{role}</p>
      <Button kind="quiet" onClick={() => void attempt(() => leave(), 'You are signed out.')}>
        Sign out
      </Button>
    </div>
  );
}

function SessionEnds() {
  const left = minutesLeft.value;
  if (left === null || left > WARN_MINUTES) return null;
  return (
    <p class="notice warn" role="status">
      Your session ends in {left === 1 ? 'a minute' : `${left} minutes`}. What you see stays; sign in again to go on.
    </p>
  );
}

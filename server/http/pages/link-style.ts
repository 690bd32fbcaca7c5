/** The stylesheet of the recipient's pages: dark and light, phone width, nothing loaded from anywhere. */
export const LINK_STYLE = `:root { color-scheme: light dark; --ink: #1c1b1f; --paper: #f6f4f0; --card: #fff; --line: #dcd8d0; --fire: #a8330a; --soft: #5d5850; }
@media (prefers-color-scheme: dark) { :root { --ink: #f1eee9; --paper: #161412; --card: #211e1b; --line: #3b3631; --fire: #ff9a6b; --soft: #b8b0a6; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; min-height: 100vh; min-height: 100dvh; display: grid; place-items: center; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 32rem; background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--fire);
  border-radius: .75rem; padding: 2rem; }
@media (max-width: 30rem) { main { padding: 1.25rem; } }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 1rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: 0 0 1.5rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; max-height: 12rem; overflow-y: auto; }
button, a[download] { display: block; text-align: center; font: inherit; font-weight: 600; width: 100%; padding: .85rem; border: 0;
  border-radius: .5rem; cursor: pointer; background: var(--fire); color: var(--card); }
button:disabled { opacity: .55; cursor: progress; }
a[download] { background: none; color: var(--fire); border: 1px solid currentColor; margin-top: 1rem; }
:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px; }
progress { width: 100%; height: .75rem; margin: 1.25rem 0 .25rem; accent-color: var(--fire); }
p { margin: .75rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
#amount { font-variant-numeric: tabular-nums; min-height: 1.5em; margin-top: 0; }
#status { color: var(--ink); }
[data-state='done'] .once, [data-state='done'] #amount { display: none; }
[data-state='reading'] #status { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
[data-state='done'] #status, [data-state='failed'] #status { font-weight: 600; }
`;

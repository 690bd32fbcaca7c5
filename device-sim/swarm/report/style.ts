/** The look of the report. Colours are told apart by lightness as well, and follow the reader's light or dark. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fbfbf9; --soft: #6b7280; --line: #d8dade; --good: #1b7f4b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --paper: #16181b; --soft: #9aa0a8; --line: #33373d; --good: #5fc48d; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
header, main { max-width: 68rem; margin: 0 auto; padding: 1rem 1.25rem; }
h1 { font-size: 1.6rem; margin: .5rem 0 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
.verdict { font-weight: 600; margin: .25rem 0 1rem; } .good .verdict, .verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 0; } dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
code { font: .85em ui-monospace, monospace; } .replay { display: block; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .4rem; overflow-x: auto; white-space: nowrap; }
.note { color: var(--soft); margin: 0 0 .5rem; }
section { overflow-x: auto; } table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.bad td, tr.bad th { color: var(--bad); }
.coverage th { font-weight: 500; white-space: nowrap; }
.cell { display: inline-block; padding: 0 .45rem; margin: .1rem .25rem .1rem 0; border: 1px solid var(--good); border-radius: .7rem; font-size: .8rem; }
.cell.never { border-style: dashed; border-color: var(--line); color: var(--soft); }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; } .axis { stroke: var(--line); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .85rem; } .legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .35rem; vertical-align: -.1rem; }
label { margin-right: 1.5rem; } select { font: inherit; }
#story { max-height: 30rem; overflow: auto; padding-left: 0; list-style: none; border: 1px solid var(--line); border-radius: .4rem; margin-top: .75rem; }
#story li { display: grid; grid-template-columns: 9.5rem 1fr; padding: .1rem .75rem; } #story time { color: var(--soft); font-variant-numeric: tabular-nums; }
#story .fault { color: #9a5b00; } #story .order, #story .campaign { font-weight: 600; } #story .broken { color: var(--bad); font-weight: 700; }
@media (prefers-color-scheme: dark) { #story .fault { color: #f0b45a; } }
`;

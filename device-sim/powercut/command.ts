import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Command, CommanderError } from 'commander';
import { type CutFailure, type CutReport, exploreCuts, FILE_VARIANTS, replayCuts } from '#sdk/core';
import { ownTrials, type Trial, trialsOf, type UserStore } from './subjects.ts';

interface Output {
  out(text: string): void;
  err(text: string): void;
}

interface Given {
  store?: string;
  deep: boolean;
  json: boolean;
}

const HELP = `
Runs a device through enrolment and whole rotations (and a spool through recording and sending) with the power cut at
every word that is programmed, in the middle of every erase, with unsynced writes lost, torn and out of order: every cut,
every pair, every triple. After each cut the device boots from what is left and must still hold a key that works; the
work must still complete.

Your own store (--store FILE): a module whose default export is
  { name, medium: 'flash' | 'files', open(medium) → Nvs }
with the port of sdk/core/credentials/nvs.ts: open(namespace, mode) → { get, set, erase, commit, close }. 'flash' is
{ pageBytes, erase, program, read }, 'files' is { read, append, sync, rename, remove, syncFolder }. A store that fails
on purpose: device-sim/powercut/examples/naive-store.mjs.`;

interface TrialResult extends CutReport {
  name: string;
  depth: number;
}

/** Adds `fuselink-sim powercut`. `exit` is called with 1 where a cut leaves a device without a key, or loses a reading. */
export function addPowercutVerb(program: Command, output: Output, exit: (code: number) => void): void {
  program
    .command('powercut')
    .description('cut the power at every word of a credential store and of the spool')
    .option('--store <file>', 'a store of your own instead of the product’s')
    .option('--deep', 'go deeper, for minutes', false)
    .option('--json', 'print { ok, trials } and nothing else', false)
    .addHelpText('after', HELP)
    .action(async (given: Given) => {
      const trials = given.store === undefined ? ownTrials(given.deep) : trialsOf(await loadStore(given.store));
      const results: TrialResult[] = [];
      for (const [index, trial] of trials.entries()) {
        if (!given.json) output.err(`${Math.floor((100 * index) / trials.length)} %  ${trial.name}\n`);
        results.push({ name: trial.name, depth: trial.depth, ...exploreCuts(trial.subject, trial.depth) });
      }
      const ok = results.every(({ failures }) => failures.length === 0);
      if (given.json) output.out(`${JSON.stringify({ ok, trials: results })}\n`);
      else for (const [index, result] of results.entries()) output.out(trialText(result, trials[index] as Trial));
      exit(ok ? 0 : 1);
    });
}

async function loadStore(file: string): Promise<UserStore> {
  let loaded: { default?: Partial<UserStore> };
  try {
    loaded = (await import(pathToFileURL(resolve(file)).href)) as typeof loaded;
  } catch (error) {
    throw refused(`--store ${file}: cannot be loaded (${error instanceof Error ? error.message : String(error)})`);
  }
  const store = loaded.default;
  const fits =
    typeof store?.name === 'string' &&
    typeof store.open === 'function' &&
    (store.medium === 'flash' || store.medium === 'files');
  if (!fits) {
    throw refused(`--store ${file}: expected a default export { name, medium: 'flash' | 'files', open }, got another`);
  }
  return store as UserStore;
}

function refused(text: string): CommanderError {
  return new CommanderError(2, 'powercut.store', text);
}

function trialText(result: TrialResult, trial: Trial): string {
  const { name, operations, schedules, failures } = result;
  const verdict = failures.length === 0 ? 'holds' : `BROKEN ${failures.length === 10 ? '10 times or more' : ''}`.trim();
  const lines = [`${name}`, `  ${operations} operations, ${schedules} schedules of cuts: ${verdict}`];
  const first = failures[0];
  if (first !== undefined) lines.push(...storyOf(trial, first));
  return `${lines.join('\n')}\n`;
}

/** The first schedule that breaks it, cut by cut. */
function storyOf(trial: Trial, failure: CutFailure): string[] {
  const lines = failure.cuts.map(({ at, variant }, index) => {
    const left = trial.subject.variants === FILE_VARIANTS.length ? FILE_VARIANTS[variant] : `way ${variant + 1} of 3`;
    return `  ${index + 1}. The power goes before operation ${at + 1} after boot ${index + 1}; what is left: ${left}.`;
  });
  let said = '';
  try {
    said = replayCuts(trial.subject, failure.cuts).find((text) => text !== '') ?? '';
  } catch (error) {
    said = error instanceof Error ? error.message : String(error);
  }
  return [
    ...lines,
    `  ${failure.cuts.length + 1}. ${failure.reason}${said === '' || said === failure.reason ? '' : ` (${said})`}`,
  ];
}

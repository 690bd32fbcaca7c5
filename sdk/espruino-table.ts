import { type Node, parse } from 'acorn';
import { transformSync } from 'esbuild';
import { DEVICE_TABLE, type DeviceRow, parseDeviceRow } from '#sdk/core';

/*
 * The rotation's table as a small device carries it: compiled by the build, from the product's own rows and from the source
 * of the words they use. Looked up by event, a row is a condition and what it does; no table lies in RAM and no text is
 * taken apart. Words that are on no wire are one character, there and in the code around.
 */

/**
 * What this device can never follow: it mints no key, and has no recovery secret to prove anything with. Of wishes it hears
 * only those to ask for an offer.
 */
export const LEFT_OUT = {
  guards: ['bySelf'],
  rowsWithActions: ['mint'],
  actions: ['recover'],
  trueGuards: ['byOffer'],
};

/** Never fed to the agent here: a first key is in its slots before the boot. */
const EVENTS_LEFT_OUT = ['provisioned', 'recoverable'];

const PHASES = ['EMPTY', 'SETTLED', 'STAGED', 'PROVING', 'PROVEN', 'LIMBO'];

const rows = DEVICE_TABLE.map(parseDeviceRow);

/** Every word of the rotation that is on no wire, and its number. A phase is the place of its name in `phaseName`. */
export const SHORT_WORDS: ReadonlyMap<string, number> = new Map(
  [
    ...new Set([
      ...PHASES,
      ...rows.flatMap((row) => [...row.events, ...row.guards, ...row.actions]).filter((word) => word !== '*'),
      ...['self', 'offer', 'manual', 'commit', 'other'],
    ]),
  ].map((word, i) => [word, i]),
);

/** The rows of the product that this device carries. */
export function leanRows(): DeviceRow[] {
  return rows
    .filter((row) => !row.guards.some((word) => LEFT_OUT.guards.includes(word)))
    .filter((row) => !row.actions.some((word) => LEFT_OUT.rowsWithActions.includes(word)))
    .map((row) => ({
      ...row,
      guards: row.guards.filter((word) => !LEFT_OUT.trueGuards.includes(word)),
      actions: row.actions.filter((word) => !LEFT_OUT.actions.includes(word)),
    }));
}

type Any = Node & Record<string, unknown>;

interface Words {
  /** A guard's expression, an action's statements; over `state`, `event`, `candidate`, `effects`. */
  guards: Map<string, string>;
  actions: Map<string, string>;
  /** The functions and constants they use. */
  rest: string;
}

/** Takes `words.ts` apart: its two switches, and all the rest. */
export function wordsOf(source: string): Words {
  const plain = transformSync(source, { loader: 'ts', target: 'es2022' }).code;
  // Names that are only for types, and what is said of recovery to who has no secret for it.
  const text = plain
    .replace(/(?<!function )\bread\(event\)|\bsaid\b(?! =)/g, 'event')
    .replace(/^\s*(?:const said = .*|recovery: .*|if \(event\.kind === "wanted"\).*)$/gm, '')
    .replace(/ = state\.recovery/, '');
  const program = parse(text, { ecmaVersion: 2022, sourceType: 'module' }) as unknown as Any;
  const words: Words = { guards: new Map(), actions: new Map(), rest: '' };
  for (const statement of program['body'] as Any[]) {
    const declared = (statement.type === 'ExportNamedDeclaration' ? statement['declaration'] : statement) as Any | null;
    const name = declared?.type === 'FunctionDeclaration' ? ((declared['id'] as Any)['name'] as string) : '';
    if (declared === null || (name !== 'guardHolds' && name !== 'act')) {
      if (declared !== null) words.rest += `${text.slice(statement.start, statement.end)}\n`;
      continue;
    }
    const body = (declared['body'] as Any)['body'] as Any[];
    const found = body.find((one) => one.type === 'SwitchStatement');
    if (found === undefined) throw new Error(`expected a switch in ${name}, found none`);
    let waiting: string[] = [];
    for (const one of found['cases'] as Any[]) {
      waiting.push((one['test'] as Any)['value'] as string);
      const does = (one['consequent'] as Any[]).filter(({ type }) => type !== 'BreakStatement');
      const [first] = does;
      if (first === undefined) continue;
      const said =
        name === 'guardHolds'
          ? text.slice((first['argument'] as Any).start, (first['argument'] as Any).end)
          : does.map(({ start, end }) => text.slice(start, end).replace(/break;\s*}$/, '}')).join('\n');
      for (const word of waiting) (name === 'guardHolds' ? words.guards : words.actions).set(word, said);
      waiting = [];
    }
  }
  return words;
}

/**
 * The module that stands in place of `core/rotation/take.ts` in the bundle: `takeRow` as a choice of events, each the
 * chain of its rows in their order. An action that several rows take is a function, any other stands where it is done.
 */
export function tableModule(wordsSource: string): string {
  const words = wordsOf(wordsSource);
  // Three actions ask to be woken, and an effect is long to write.
  const asWake = (said: string) =>
    said.replace(/effects\.push\(\{ kind: "wake", delayMsMax: ([^}]+) \}\)/, 'wakeWithin($1)');
  for (const [word, said] of words.actions) words.actions.set(word, asWake(said));
  words.rest = asWake(words.rest);
  // The server has drawn the key itself: there is nothing to register but that it is so.
  words.actions.set('register', 'effects.push({ kind: "register", record: state.candidate });');
  const lean = leanRows();
  const uses = (word: string) => lean.filter((row) => row.actions.includes(word)).length;
  const meaning = (of: Map<string, string>, word: string) => {
    const said = of.get(word);
    if (said === undefined) throw new Error(`expected words.ts to say what ${word} means, found nothing`);
    return said;
  };
  const shared = [...words.actions.keys()].filter((word) => uses(word) > 1 && meaning(words.actions, word).length > 40);
  const functions = shared.map((word) => `function do_${word}() {\n${meaning(words.actions, word)}\n}\n`);
  const done = (word: string) => (shared.includes(word) ? `do_${word}();` : `{ ${meaning(words.actions, word)} }`);
  const condition = (row: DeviceRow) => {
    const phases = row.phases[0] === '*' ? [] : [phaseCondition(row.phases)];
    return [...phases, ...row.guards.map((word) => `(${meaning(words.guards, word)})`)].join(' && ') || 'true';
  };
  const body = (row: DeviceRow) =>
    [...(row.next === '=' ? [] : [`state.phase = "${row.next}";`]), ...row.actions.map(done)].join(' ');
  const all = lean.flatMap((row) => row.events).filter((event) => event !== '*' && !EVENTS_LEFT_OUT.includes(event));
  const busy = lean.find((row) => row.events[0] === '*') as DeviceRow;
  const chain = (event: string) => {
    const own = merged(lean.filter((row) => row.events.includes(event)));
    // What was being written is written, whatever came of it; no row of this event begins another write.
    const after = event === 'written' ? ' state.writing = null;' : '';
    return own.map((row) => `if (${condition(row)}) { ${body(row)} }`).join(' else ') + after;
  };
  const cases = (events: string[]) =>
    events.map((event) => `if (kind === "${event}") { ${chain(event)} }`).join(' else ');
  // What a step works on stands beside its functions: one step is over before the next begins, and nobody has to hand it on.
  // What is read back is heard at any time; everything else only where nothing is being written.
  return `
let state, event, effects;
function wakeWithin(ms) { effects.push({ kind: "wake", delayMsMax: ms }); }
function isEvents(key) { return !!key && event.fingerprint === key.fingerprint; }
${withoutHanding(words.rest)}
${withoutHanding(functions.join(''))}
export function takeRow(now, said, out) {
  state = now;
  event = said;
  effects = out;
  const candidate = state.candidate, phase = state.phase, kind = event.kind;
  if (${condition(busy)} && kind !== "written") return;
${withoutHanding(cases([...new Set(all)]))}
}
`;
}

/** Functions of the words neither take nor are given the state, the event and the effects. */
function withoutHanding(text: string): string {
  return text
    .replace(/\bisNamed\(([\w.]+), event\)/g, 'isEvents($1)')
    .replace(/\b(?!keyToSend|candidateOrBase)(\w+)\((?:state|event|effects)(?:, (?:event|effects))*\)/g, '$1()')
    .replace(/\bcopyOver\(state, ([\w.]+), effects\)/g, 'copyOver($1)');
}

/** Rows that look at the phase alone and do the same are one, where no row between them looks at a phase of theirs. */
function merged(rows: DeviceRow[]): DeviceRow[] {
  const kept: DeviceRow[] = [];
  for (const row of rows) {
    const same = kept.findIndex(
      (one) =>
        one.guards.length + row.guards.length === 0 && one.next === row.next && `${one.actions}` === `${row.actions}`,
    );
    const before = kept[same];
    const between = same < 0 ? [] : kept.slice(same + 1);
    const isFree = between.every(({ phases }) => !phases.some((phase) => phase === '*' || row.phases.includes(phase)));
    if (before === undefined || !isFree || before.phases[0] === '*') kept.push(row);
    else kept[same] = { ...before, phases: [...before.phases, ...row.phases] };
  }
  return kept;
}

function phaseCondition(phases: readonly string[]): string {
  if (phases.length === 1) return `phase === "${phases[0]}"`;
  return `(${phases.reduce((mask, phase) => mask | (1 << PHASES.indexOf(phase)), 0)} >> phase) & 1`;
}

/** Source with every word of the rotation that stands for itself, in quotes of this kind, written as its character. */
export function withShortWords(source: string, quote: "'" | '"'): string {
  // Not what is reached by a quoted name: those are words of the wire.
  return source.replace(new RegExp(`(?<!\\w\\[)${quote}(\\w+)${quote}`, 'g'), (whole, word: string) => {
    const number = SHORT_WORDS.get(word);
    return number === undefined ? whole : String(number);
  });
}

import { constantObject, constantParam, objectParam, otherName } from './espruino-constants.ts';
import {
  type Callee,
  callees,
  declaredIn,
  doesBefore,
  doesSomething,
  isFunction,
  lookedUp,
  type Named,
  nameOf,
  namesOf,
  onlyReads,
  type Step,
  usesOfParam,
} from './espruino-program.ts';
import { type Any, applied, type Edit, tree, walk } from './espruino-shrink.ts';

/*
 * What follows from the whole program and no general minifier looks for: functions of the core are told by argument what is
 * always the same here (which SHA-256, which limits, an object taken apart at once), and many are called once. Each function
 * and each parameter is RAM on the device. Works on text whose names are still the source's; a name that is declared
 * twice anywhere is left alone.
 */

/** Whether nobody looks at what a call gives. */
function isForgotten(call: Any, parents: Any[]): boolean {
  const parent = parents[parents.length - 1] as Any;
  const beyond = parents.slice(0, -1);
  // What comes last is what the whole of it gives.
  if (parent.type === 'LogicalExpression') return parent['right'] === call && isForgotten(parent, beyond);
  if (parent.type === 'ConditionalExpression') return parent['test'] !== call && isForgotten(parent, beyond);
  if (parent.type !== 'SequenceExpression') return parent.type === 'ExpressionStatement';
  const all = parent['expressions'] as Any[];
  return call !== all[all.length - 1] || isForgotten(parent, beyond);
}

/** The one expression that a function is, or null. */
function expressionOf(callee: Callee, named: Named): Any | null {
  const body = (callee.node['body'] as Any)['body'] as Any[];
  const [only] = body;
  if (only === undefined || body.length !== 1) return null;
  if (only.type === 'ReturnStatement') return only['argument'] as Any | null;
  const [use] = named.uses.get(callee.name) ?? [];
  const forgotten = use !== undefined && isForgotten(callee.calls[0] as Any, use.parents.slice(0, -1));
  return only.type === 'ExpressionStatement' && forgotten ? (only['expression'] as Any) : null;
}

/** A function of one expression that is called once stands where it is called. */
function calledOnce({ text, program, named, all }: Step): string | null {
  for (const callee of all) {
    const [call] = callee.calls;
    if (call === undefined || callee.calls.length !== 1) continue;
    const result = expressionOf(callee, named);
    if (result === null || (call.start > callee.node.start && call.end < callee.node.end)) continue;
    const around = (program['body'] as Any[]).find(({ start, end }) => start <= call.start && call.end <= end) as Any;
    const params = callee.params.map(nameOf);
    const hidden = new Set(around.type === 'VariableDeclaration' ? [] : declaredIn(around));
    const bound = new Set(declaredIn(result));
    if (lookedUp(result).some((name) => hidden.has(name) && !params.includes(name) && !bound.has(name))) continue;
    const given = call['arguments'] as Any[];
    if (given.flatMap(lookedUp).some((name) => bound.has(name))) continue;
    const edits: Edit[] = [];
    const worked = given.filter((one) => !onlyReads(one));
    const clear = callee.params.every((param, k) => {
      const arg = given[k] as Any;
      const uses = usesOfParam(callee, param, named);
      if (uses === null) return false;
      const later = uses.some(({ parents }) => parents.some((one) => one !== callee.node && isFunction(one)));
      const plain = arg.type === 'Literal' || arg.type === 'Identifier';
      const said = text.slice(arg.start, arg.end);
      for (const { node } of uses)
        edits.push({
          start: node.start - result.start,
          end: node.end - result.start,
          text: plain ? said : `(${said})`,
        });
      const changes = arg.type === 'Identifier' && named.assigned.has(said);
      if (plain)
        return (
          !changes ||
          (!later && !doesSomething(result)) ||
          (!later && uses.every(({ node }) => !doesBefore(result, node)))
        );
      // What is worked out for the call is worked out once, and before anything the function does.
      if (uses.length !== 1 || later) return false;
      if (isFunction(arg)) return true;
      return onlyReads(arg)
        ? !doesSomething(result)
        : worked.length === 1 && !doesBefore(result, (uses[0] as { node: Any }).node);
    });
    if (!clear) continue;
    const inside = applied(text.slice(result.start, result.end), edits);
    return applied(text, [
      { start: callee.node.start, end: callee.node.end, text: '' },
      { start: call.start, end: call.end, text: `(${inside})` },
    ]);
  }
  return null;
}

/** Where the statement stands that a call is the whole of, or is the value of, and how it is written without the call. */
interface Place {
  statement: Any;
  /** What of the statement comes before the call is made, and after; the value goes between. Null: nobody wants it. */
  before: string;
  after: string | null;
  own: string;
}

function placeOf(text: string, call: Any, parents: Any[]): Place | null {
  const parent = parents[parents.length - 1] as Any;
  const statement = parents.filter((one) => /(Statement|Declaration)$/.test(one.type)).pop() as Any;
  const block = parents[parents.indexOf(statement) - 1] as Any;
  if (block.type !== 'BlockStatement') return null;
  const tail = text.slice(call.end, statement.end);
  if (parent.type === 'ReturnStatement') return { statement, before: '', own: 'return ', after: tail };
  if (parent.type === 'VariableDeclarator' && parents[parents.length - 2] === statement) {
    const all = statement['declarations'] as Any[];
    const at = all.indexOf(parent);
    const earlier = at === 0 ? '' : `${text.slice(statement.start, (all[at - 1] as Any).end)};`;
    return {
      statement,
      before: earlier,
      own: `let ${nameOf(parent['id'] as Any)} = `,
      after: tail,
    };
  }
  if (parent === statement) return { statement, before: '', own: '', after: null };
  const expressions = (parent['expressions'] ?? []) as Any[];
  const at = expressions.indexOf(call);
  const beyond = parents[parents.length - 2] as Any;
  if (at < 0 || beyond !== statement || (at === expressions.length - 1 && statement.type !== 'ExpressionStatement'))
    return null;
  const before = at === 0 ? '' : `${text.slice(parent.start, (expressions[at - 1] as Any).end)};`;
  const next = expressions[at + 1];
  const rest = next === undefined ? ';' : text.slice(next.start, statement.end);
  const returns = statement.type === 'ReturnStatement' ? 'return ' : '';
  return { statement, before, own: '', after: next === undefined ? null : returns + rest };
}

/** A function of several statements that is called once: they stand before the statement that it is called in. */
function statementsOnce({ text, program, named, all }: Step, step: number): string | null {
  for (const callee of all) {
    const [call] = callee.calls;
    const [use] = named.uses.get(callee.name) ?? [];
    if (call === undefined || use === undefined || callee.calls.length !== 1) continue;
    if (call.start > callee.node.start && call.end < callee.node.end) continue;
    const place = placeOf(text, call, use.parents.slice(0, -1));
    const body = (callee.node['body'] as Any)['body'] as Any[];
    const last = body[body.length - 1];
    // What a function that it makes has seen of one round would be another's.
    const inLoop = use.parents.some(({ type }) => /^(For|While|Do)/.test(type));
    if (inLoop && hasFunctions(callee.node)) continue;
    if (place === null || last === undefined || returnsWithin(callee.node) > (last.type === 'ReturnStatement' ? 1 : 0))
      continue;
    const result = last.type === 'ReturnStatement' ? (last['argument'] as Any | null) : null;
    const wanted = place.own !== '';
    if (wanted && result === null) continue;
    const around = (program['body'] as Any[]).find(({ start, end }) => start <= call.start && call.end <= end) as Any;
    const hidden = new Set(
      declaredIn(around.type === 'VariableDeclaration' ? { ...around, declarations: [] } : around),
    );
    const own = new Set(declaredIn(callee.node));
    own.delete(callee.name);
    if (lookedUp(callee.node['body'] as Any).some((name) => hidden.has(name) && !own.has(name))) continue;
    const renames: Edit[] = [];
    walk(callee.node, (node, parent) => {
      const isName = node.type === 'Identifier' && own.has(nameOf(node));
      const member = parent?.type === 'MemberExpression' && parent['property'] === node && parent['computed'] !== true;
      const key = parent?.type === 'Property' && parent['key'] === node && parent['value'] !== node;
      if (isName && !member && !key)
        renames.push({
          start: node.start,
          end: node.end,
          text: `${nameOf(node)}_${step}`,
        });
    });
    const renamed = (from: number, to: number) =>
      applied(
        text.slice(from, to),
        renames
          .filter(({ start, end }) => from <= start && end <= to)
          .map((one) => ({ ...one, start: one.start - from, end: one.end - from })),
      );
    const args = call['arguments'] as Any[];
    const given = callee.params.map(
      (param, k) => `let ${nameOf(param)}_${step} = ${text.slice((args[k] as Any).start, (args[k] as Any).end)};`,
    );
    const [first] = body as [Any];
    const statements = renamed(first.start, result === null ? last.end : last.start);
    const value = result === null ? '' : `(${renamed(result.start, result.end)})`;
    const end = wanted ? `${place.own}${value}${place.after}` : `${value};${place.after ?? ''}`;
    return applied(text, [
      { start: callee.node.start, end: callee.node.end, text: '' },
      {
        start: place.statement.start,
        end: place.statement.end,
        text: `${place.before}${given.join('')}${statements};${end}`,
      },
    ]);
  }
  return null;
}

function hasFunctions(scope: Any): boolean {
  let has = false;
  walk(scope, (node) => {
    if (isFunction(node) && node !== scope) has = true;
  });
  return has;
}

/** How often a function itself returns. */
function returnsWithin(scope: Any): number {
  let count = 0;
  const look = (node: Any) => {
    if (node.type === 'ReturnStatement') count++;
    if (!isFunction(node) || node === scope) {
      for (const value of Object.values(node).flat()) {
        if (typeof value === 'object' && value !== null && 'type' in value) look(value as Any);
      }
    }
  };
  look(scope);
  return count;
}

/** Every step there is, until there is none. */
export function inlinedFunctions(
  source: string,
  tidy: (text: string) => string,
  resident: readonly string[] = [],
): string {
  let text = tidy(source);
  for (let steps = 0; steps < 500; steps++) {
    const program = tree(text);
    const named = namesOf(program);
    const step = { text, program, named, all: callees(program, named) };
    const inlinable = { ...step, all: step.all.filter(({ name }) => !resident.includes(name)) };
    const plain =
      objectParam(step) ?? constantParam(step) ?? constantObject(step) ?? otherName(step) ?? calledOnce(inlinable);
    const next = plain ?? statementsOnce(inlinable, steps);
    if (next === null) {
      const tidied = tidy(text);
      if (tidied === text) return text;
      text = tidied;
      continue;
    }
    text = plain === null || steps % 8 === 0 ? tidy(next) : next;
  }
  throw new Error('expected inlining to end, it goes on after 500 steps');
}

import { declaredIn, isFunction, lookedUp, type Named, nameOf, namesOf } from './espruino-program.ts';
import { type Any, applied, type Edit, tree } from './espruino-shrink.ts';

/*
 * Where functions lie in RAM. A function costs a small interpreter six blocks for as long as it is declared, its text none. So
 * what is used within one other function only is declared in that one, each time it runs, and is gone when it returns. Works
 * on text whose names are still the source's.
 */

/** What stays where it is for good, and variables that hold nothing between two runs of who uses them. */
export interface Residence {
  resident: readonly string[];
  transient: readonly string[];
}

interface Declared {
  name: string;
  /** The whole statement. */
  node: Any;
}

/** The functions and the plain variables that the program declares. */
function declaredBy(program: Any): Declared[] {
  return (program['body'] as Any[]).flatMap((node) => {
    if (node.type === 'FunctionDeclaration') return [{ name: nameOf(node['id'] as Any), node }];
    const declarations = node.type === 'VariableDeclaration' ? (node['declarations'] as Any[]) : [];
    return declarations.map((one) => ({ name: nameOf(one['id'] as Any), node }));
  });
}

/** The one function that every use of a name stands in, or null. */
function onlyUser({ name, node }: Declared, all: Declared[], named: Named): Any | null {
  const uses = (named.uses.get(name) ?? []).filter(({ node: use }) => use.start < node.start || node.end < use.end);
  const users = uses.map(
    ({ node: use }) => all.find((each) => each.node.start < use.start && use.end < each.node.end)?.node ?? null,
  );
  const [first] = users;
  if (first === undefined || first?.type !== 'FunctionDeclaration') return null;
  return users.every((user) => user === first) ? first : null;
}

/** `text` with one function or variable put where it is used, or null where there is none. */
function moved(text: string, { resident, transient }: Residence): string | null {
  const program = tree(text);
  const named = namesOf(program);
  const all = declaredBy(program);
  for (const one of all) {
    const variable = !isFunction(one.node);
    if (resident.includes(one.name) || named.declarations.get(one.name) !== 1) continue;
    if (variable && !transient.includes(one.name)) continue;
    const user = onlyUser(one, all, named);
    if (user === null) continue;
    // What it looks up must mean the same where it goes.
    const hidden = new Set(declaredIn(user));
    const own = new Set(declaredIn(one.node));
    if (!variable && lookedUp(one.node).some((name) => hidden.has(name) && !own.has(name) && name !== one.name))
      continue;
    const open = (user['body'] as Any).start + 1;
    const edits: Edit[] = [];
    if (variable) {
      const kept = (one.node['declarations'] as Any[]).filter(({ id }) => nameOf(id as Any) !== one.name);
      const rest = kept.map(({ start, end }) => text.slice(start, end)).join(', ');
      edits.push({ start: one.node.start, end: one.node.end, text: rest === '' ? '' : `var ${rest};` });
      edits.push({ start: open, end: open, text: `let ${one.name};` });
    } else {
      edits.push({ start: one.node.start, end: one.node.end, text: '' });
      edits.push({ start: open, end: open, text: `\n${text.slice(one.node.start, one.node.end)}` });
    }
    return applied(text, edits);
  }
  return null;
}

/** Every function that is used within one other only, declared there. Throws where a transient variable cannot be. */
export function nestedFunctions(source: string, residence: Residence): string {
  let text = source;
  for (let steps = 0; steps < 500; steps++) {
    const next = moved(text, residence);
    if (next === null) {
      const left = declaredBy(tree(text)).filter(({ name }) => residence.transient.includes(name));
      if (left.length > 0) throw new Error(`expected ${left[0]?.name} to be used within one function, it is not`);
      return text;
    }
    text = next;
  }
  throw new Error('expected nesting to end, it goes on after 500 steps');
}

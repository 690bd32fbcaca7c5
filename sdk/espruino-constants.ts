import {
  type Callee,
  declaredIn,
  isFunction,
  nameOf,
  onlyRead,
  propertiesOf,
  type Step,
  usesOfParam,
} from './espruino-program.ts';
import { type Any, applied, type Edit, walk } from './espruino-shrink.ts';

/* Steps that take parameters, objects and names away which are the same wherever they are looked at. Null: nothing to do. */

const listed = (text: string, nodes: Any[]) => nodes.map(({ start, end }) => text.slice(start, end)).join(', ');

/** Puts other texts in place of a function's parameters and of the arguments of every call. */
function relisted(text: string, callee: Callee, params: string, args: (call: Any) => string): Edit[] {
  const open = text.indexOf('(', callee.node.start);
  const edits = [{ start: open + 1, end: text.indexOf(')', open), text: params }];
  for (const call of callee.calls) {
    const from = text.indexOf('(', (call['callee'] as Any).end);
    edits.push({ start: from + 1, end: call.end - 1, text: args(call) });
  }
  return edits;
}

/** A parameter that is the same in every call, or that nobody looks at, is none. */
export function constantParam({ text, program, named, all }: Step): string | null {
  const topLevel = new Set(
    (program['body'] as Any[]).flatMap((one) =>
      isFunction(one)
        ? [nameOf(one['id'] as Any)]
        : one.type === 'VariableDeclaration'
          ? (one['declarations'] as Any[]).map((each) => nameOf(each['id'] as Any))
          : [],
    ),
  );
  for (const callee of all) {
    for (const [k, param] of callee.params.entries()) {
      const given = callee.calls.map((call) => (call['arguments'] as Any[])[k] as Any);
      const [first] = given;
      const uses = usesOfParam(callee, param, named);
      if (first === undefined || uses === null) continue;
      const said = text.slice(first.start, first.end);
      const fixed =
        first.type === 'Literal' ||
        (topLevel.has(said) && named.declarations.get(said) === 1 && !named.assigned.has(said));
      const same = fixed && given.every(({ start, end }) => text.slice(start, end) === said);
      const ignored = uses.length === 0 && given.every(({ type }) => type === 'Literal' || type === 'Identifier');
      if (!same && !ignored) continue;
      const others = (nodes: Any[]) =>
        listed(
          text,
          nodes.filter((_node, i) => i !== k),
        );
      const edits = relisted(text, callee, others(callee.params), (call) => others(call['arguments'] as Any[]));
      if (edits.some((edit, i) => i > 0 && callee.node.start < edit.start && edit.start < callee.node.end)) continue;
      for (const { node } of uses) edits.push({ start: node.start, end: node.end, text: said });
      return applied(text, edits);
    }
  }
  return null;
}

/** An object that is made for one call and taken apart there is several parameters. */
export function objectParam({ text, named, all }: Step): string | null {
  for (const callee of all) {
    const [call] = callee.calls;
    if (call === undefined || callee.calls.length !== 1) continue;
    for (const [k, param] of callee.params.entries()) {
      const given = (call['arguments'] as Any[])[k] as Any;
      const uses = usesOfParam(callee, param, named);
      if (given.type !== 'ObjectExpression' || uses === null) continue;
      const properties = propertiesOf(given);
      if (
        !onlyRead(
          uses,
          properties.map(({ name }) => name),
        )
      )
        continue;
      const own = (name: string) => `${nameOf(param)}_${name}`;
      const params = callee.params.map((one, i) =>
        i === k ? properties.map(({ name }) => own(name)).join(', ') : nameOf(one),
      );
      const args = (call['arguments'] as Any[]).map((one, i) =>
        i === k
          ? listed(
              text,
              properties.map(({ value }) => value),
            )
          : text.slice(one.start, one.end),
      );
      const edits = relisted(text, callee, params.join(', '), () => args.join(', '));
      for (const { parents } of uses) {
        const member = parents[parents.length - 1] as Any;
        edits.push({ start: member.start, end: member.end, text: own(nameOf(member['property'] as Any)) });
      }
      return applied(text, edits);
    }
  }
  return null;
}

/** An object of constants that is only asked for them is those constants. */
export function constantObject({ text, program, named }: Step): string | null {
  for (const statement of program['body'] as Any[]) {
    const declarations = statement.type === 'VariableDeclaration' ? (statement['declarations'] as Any[]) : [];
    const at = declarations.findIndex((one) => (one['init'] as Any | null)?.type === 'ObjectExpression');
    const only = declarations[at];
    const next = declarations[at + 1];
    if (only === undefined || next === undefined) continue;
    const name = nameOf(only['id'] as Any);
    const properties = propertiesOf(only['init'] as Any);
    const uses = named.uses.get(name) ?? [];
    if (named.declarations.get(name) !== 1 || properties.some(({ value }) => value.type !== 'Literal')) continue;
    if (
      !onlyRead(
        uses,
        properties.map((one) => one.name),
      )
    )
      continue;
    const edits: Edit[] = [{ start: only.start, end: next.start, text: '' }];
    for (const { parents } of uses) {
      const member = parents[parents.length - 1] as Any;
      const value = properties.find((one) => one.name === nameOf(member['property'] as Any))?.value as Any;
      edits.push({ start: member.start, end: member.end, text: text.slice(value.start, value.end) });
    }
    return applied(text, edits);
  }
  return null;
}

/** Another name for what has one already, or for a constant, is none. */
export function otherName({ text, program, named }: Step): string | null {
  for (const scope of program['body'] as Any[]) {
    const own = declaredIn(scope);
    const once = (name: string) => own.filter((one) => one === name).length === 1 && !named.assigned.has(name);
    let found: string | null = null;
    walk(scope, (node) => {
      if (node.type !== 'VariableDeclaration' || found !== null) return;
      const declarations = node['declarations'] as Any[];
      if (node === scope) return;
      declarations.forEach((one, i) => {
        const init = one['init'] as Any | null;
        const name = nameOf(one['id'] as Any);
        const plain = init?.type === 'Literal' || (init?.type === 'Identifier' && once(nameOf(init)));
        if (found !== null || init === null || !once(name)) return;
        const uses = (named.uses.get(name) ?? []).filter(
          ({ node: use }) => scope.start < use.start && use.end < scope.end,
        );
        const parts = init.type === 'ObjectExpression' && uses.length > 0 ? propertiesOf(init) : [];
        const taken =
          parts.length > 0 && parts.every(({ value }) => value.type === 'Identifier' && once(nameOf(value)));
        if (
          !plain &&
          !(
            taken &&
            onlyRead(
              uses,
              parts.map((part) => part.name),
            )
          )
        )
          return;
        const said = text.slice(init.start, init.end);
        const edits = uses.map(({ node: use, parents }) => {
          if (plain) return { start: use.start, end: use.end, text: said };
          const member = parents[parents.length - 1] as Any;
          const part = parts.find((each) => each.name === nameOf(member['property'] as Any)) as { value: Any };
          return { start: member.start, end: member.end, text: nameOf(part.value) };
        });
        const [before, after] = [declarations[i - 1], declarations[i + 1]];
        if (after !== undefined) edits.push({ start: one.start, end: after.start, text: '' });
        else if (before !== undefined) edits.push({ start: before.end, end: one.end, text: '' });
        else edits.push({ start: node.start, end: node.end, text: '' });
        found = applied(text, edits);
      });
    });
    if (found !== null) return found;
  }
  return null;
}

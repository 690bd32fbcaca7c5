import { type Any, walk } from './espruino-shrink.ts';

/* What is known of a whole program: what its names are, who uses them, and what an expression does. */

export interface Named {
  declarations: Map<string, number>;
  assigned: Set<string>;
  uses: Map<string, { node: Any; parents: Any[] }[]>;
}

/** The whole program as it is before a step. */
export interface Step {
  text: string;
  program: Any;
  named: Named;
  all: Callee[];
}

export interface Callee {
  name: string;
  node: Any;
  params: Any[];
  calls: Any[];
}

export const isFunction = (node: Any) => /Function/.test(node.type);
export const nameOf = (node: Any | null | undefined) => (node?.['name'] as string | undefined) ?? '';

/** Every node with all that it stands in, the nearest last. */
export function walkDeep(node: Any, visit: (node: Any, parents: Any[]) => void): void {
  const chain: Any[] = [];
  const go = (one: Any) => {
    visit(one, chain);
    chain.push(one);
    for (const value of Object.values(one).flat()) {
      if (typeof value === 'object' && value !== null && 'type' in value) go(value as Any);
    }
    chain.pop();
  };
  go(node);
}

export function declaredIn(node: Any): string[] {
  const names: string[] = [];
  walk(node, (one) => {
    if (one.type === 'VariableDeclarator') names.push(nameOf(one['id'] as Any));
    if (one.type === 'CatchClause') names.push(nameOf(one['param'] as Any));
    if (!isFunction(one)) return;
    if (one['id']) names.push(nameOf(one['id'] as Any));
    for (const param of one['params'] as Any[]) names.push(nameOf(param));
  });
  return names;
}

export function namesOf(program: Any): Named {
  const named: Named = { declarations: new Map(), assigned: new Set(), uses: new Map() };
  for (const name of declaredIn(program)) named.declarations.set(name, (named.declarations.get(name) ?? 0) + 1);
  walkDeep(program, (node, parents) => {
    const parent = parents[parents.length - 1];
    if (node.type === 'AssignmentExpression') named.assigned.add(nameOf(node['left'] as Any));
    if (node.type === 'UpdateExpression') named.assigned.add(nameOf(node['argument'] as Any));
    if (node.type !== 'Identifier' || parent === undefined) return;
    if (parent.type === 'MemberExpression' && parent['property'] === node && parent['computed'] !== true) return;
    if (parent.type === 'Property' && parent['key'] === node && parent['value'] !== node) return;
    if (parent['id'] === node || (isFunction(parent) && (parent['params'] as Any[]).includes(node))) return;
    const name = nameOf(node);
    const known = named.uses.get(name);
    const use = { node, parents: [...parents] };
    if (known === undefined) named.uses.set(name, [use]);
    else known.push(use);
  });
  return named;
}

/** Names that an expression looks up, not those of properties. */
export function lookedUp(node: Any): string[] {
  const names: string[] = [];
  walk(node, (one, parent) => {
    if (one.type !== 'Identifier') return;
    if (parent?.type === 'MemberExpression' && parent['property'] === one && parent['computed'] !== true) return;
    if (parent?.type === 'Property' && parent['key'] === one && parent['value'] !== one) return;
    names.push(nameOf(one));
  });
  return names;
}

/** A name, or what is reached from one by names: reading it does nothing. */
export function onlyReads(node: Any): boolean {
  if (node.type === 'MemberExpression') return node['computed'] !== true && onlyReads(node['object'] as Any);
  const parts = {
    ConditionalExpression: ['test', 'consequent', 'alternate'],
    UnaryExpression: ['argument'],
  }[node.type];
  if (parts !== undefined) return parts.every((part) => onlyReads(node[part] as Any));
  return node.type === 'Identifier' || node.type === 'Literal' || isFunction(node);
}

/** All but asking for a module, which is the same whenever it is done. */
export function isDeed(node: Any): boolean {
  return /^(Call|New|Assignment|Update)/.test(node.type) && nameOf(node['callee'] as Any | undefined) !== '$r';
}

export function doesSomething(node: Any): boolean {
  let does = false;
  walk(node, (one) => {
    if (isDeed(one)) does = true;
  });
  return does;
}

/** Functions of the module that are only ever called, with every call. */
export function callees(program: Any, named: Named): Callee[] {
  const found: Callee[] = [];
  for (const node of program['body'] as Any[]) {
    if (node.type !== 'FunctionDeclaration') continue;
    const name = nameOf(node['id'] as Any);
    const uses = named.uses.get(name) ?? [];
    const calls = uses.map(({ node: use, parents }) => {
      const parent = parents[parents.length - 1] as Any;
      return parent.type === 'CallExpression' && parent['callee'] === use ? parent : null;
    });
    if (named.declarations.get(name) !== 1 || named.assigned.has(name) || calls.includes(null)) continue;
    const params = node['params'] as Any[];
    if ((calls as Any[]).some((call) => (call['arguments'] as Any[]).length !== params.length)) continue;
    found.push({ name, node, params, calls: calls as Any[] });
  }
  return found;
}

/** Uses of a parameter, or null where its name means something else as well. */
export function usesOfParam(callee: Callee, param: Any, named: Named): { node: Any; parents: Any[] }[] | null {
  const name = nameOf(param);
  if (declaredIn(callee.node).filter((one) => one === name).length !== 1) return null;
  const within = (named.uses.get(name) ?? []).filter(
    ({ node }) => node.start > callee.node.start && node.end < callee.node.end,
  );
  const changed = within.some(({ node, parents }) => {
    const parent = parents[parents.length - 1] as Any;
    return (parent['left'] === node && parent.type === 'AssignmentExpression') || parent.type === 'UpdateExpression';
  });
  return changed ? null : within;
}

export const propertiesOf = (literal: Any) =>
  (literal['properties'] as Any[]).map((one) => ({ name: nameOf(one['key'] as Any), value: one['value'] as Any }));

/** Whether an object is only ever asked for its properties, by these names. */
export function onlyRead(uses: { node: Any; parents: Any[] }[], names: string[]): boolean {
  return uses.every(({ node, parents }) => {
    const parent = parents[parents.length - 1] as Any;
    const beyond = parents[parents.length - 2] as Any;
    return (
      parent.type === 'MemberExpression' &&
      parent['object'] === node &&
      parent['computed'] !== true &&
      names.includes(nameOf(parent['property'] as Any)) &&
      !(beyond.type === 'AssignmentExpression' && beyond['left'] === parent) &&
      beyond.type !== 'UpdateExpression' &&
      !(beyond.type === 'CallExpression' && beyond['callee'] === parent)
    );
  });
}

/** Whether an expression does something, or may have gone another way, before it looks at one of its parts. */
export function doesBefore(node: Any, part: Any): boolean {
  let does = false;
  walk(node, (one) => {
    if (/^(Conditional|Logical)/.test(one.type) && one.start <= part.start && part.end <= one.end) does = true;
    if (isDeed(one) && one.end <= part.start) does = true;
  });
  return does;
}

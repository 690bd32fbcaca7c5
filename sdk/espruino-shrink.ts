import { type Node, parse } from 'acorn';

/*
 * What a general minifier leaves, for a bundle in which nothing uses `this`, `arguments` or `new` on its own functions:
 * functions become arrows, declarations that follow each other become one, and names of built-ins that are spelled out
 * often are spelled out once.
 */

export interface Edit {
  start: number;
  end: number;
  text: string;
}

export type Any = Node & Record<string, unknown>;

function children(node: Any): Any[] {
  return Object.values(node)
    .flat()
    .filter((value): value is Any => typeof value === 'object' && value !== null && 'type' in value);
}

export function walk(node: Any, visit: (node: Any, parent: Any | null) => void, parent: Any | null = null): void {
  visit(node, parent);
  for (const child of children(node)) walk(child, visit, node);
}

export function applied(text: string, edits: Edit[]): string {
  let out = '';
  let at = 0;
  for (const edit of edits.sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (edit.start < at) throw new Error(`two edits at ${edit.start}`);
    out += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return out + text.slice(at);
}

export function tree(text: string): Any {
  return parse(text, { ecmaVersion: 2015, sourceType: 'script' }) as unknown as Any;
}

function arrows(text: string): string {
  const edits: Edit[] = [];
  walk(tree(text), (node, parent) => {
    if (node.type !== 'FunctionDeclaration' && node.type !== 'FunctionExpression') return;
    const params = node['params'] as Any[];
    const body = node['body'] as Any;
    const names = params.map((param) => text.slice(param.start, param.end)).join(',');
    const id = node['id'] as Any | null;
    const declared = node.type === 'FunctionDeclaration';
    const head = `${declared ? `let ${text.slice((id as Any).start, (id as Any).end)}=` : ''}${params.length === 1 ? names : `(${names})`}=>`;
    const statements = body['body'] as Any[];
    const only = statements.length === 1 ? (statements[0] as Any) : null;
    const tail = declared ? ';' : '';
    const called = parent?.type === 'CallExpression' && parent['callee'] === node;
    const result = only?.type === 'ReturnStatement' ? (only['argument'] as Any | null) : null;
    if (result === null || result === undefined) {
      edits.push({ start: node.start, end: body.start, text: (called ? '(' : '') + head });
      edits.push({ start: node.end, end: node.end, text: (called ? ')' : '') + tail });
      return;
    }
    const wrap = result.type === 'SequenceExpression' || result.type === 'ObjectExpression';
    edits.push({ start: node.start, end: result.start, text: head + (wrap ? '(' : '') });
    edits.push({ start: result.end, end: node.end, text: (wrap ? ')' : '') + tail });
  });
  return applied(text, edits);
}

/** Declarations one behind the other become one. */
function joined(text: string): string {
  const edits: Edit[] = [];
  const join = (statements: Any[]) => {
    statements.forEach((statement, i) => {
      const next = statements[i + 1];
      if (statement.type !== 'VariableDeclaration' || next?.type !== 'VariableDeclaration') return;
      const declarations = next['declarations'] as Any[];
      const own = statement['declarations'] as Any[];
      edits.push({ start: (own[own.length - 1] as Any).end, end: (declarations[0] as Any).start, text: ',' });
    });
  };
  walk(tree(text), (node) => {
    if (node.type === 'Program' || node.type === 'BlockStatement') join(node['body'] as Any[]);
  });
  return applied(text, edits);
}

/** Constants that are texts or numbers stand where they are used, where that is shorter. */
function inlined(text: string): string {
  const program = tree(text);
  const uses = new Map<string, Any[]>();
  const assigned = new Set<string>();
  walk(program, (node, parent) => {
    if (node.type === 'AssignmentExpression') assigned.add(((node['left'] as Any)['name'] as string) ?? '');
    if (node.type === 'UpdateExpression') assigned.add(((node['argument'] as Any)['name'] as string) ?? '');
    const named = parent?.type === 'MemberExpression' && parent['property'] === node && parent['computed'] !== true;
    const keyed = parent?.type === 'Property' && parent['key'] === node && parent['value'] !== node;
    if (node.type !== 'Identifier' || named || keyed) return;
    const name = node['name'] as string;
    uses.set(name, [...(uses.get(name) ?? []), node]);
  });
  const edits: Edit[] = [];
  for (const statement of program['body'] as Any[]) {
    if (statement.type !== 'VariableDeclaration') continue;
    const all = statement['declarations'] as Any[];
    all.forEach((declaration, i) => {
      const id = declaration['id'] as Any;
      const init = declaration['init'] as Any | null;
      const name = id['name'] as string;
      const places = (uses.get(name) ?? []).filter((node) => node !== id);
      if (init?.type !== 'Literal' || assigned.has(name) || i + 1 === all.length || isShadowed(program, name)) return;
      const value = text.slice(init.start, init.end);
      if (places.length * value.length > value.length + name.length * (places.length + 1) + 2) return;
      for (const node of places) edits.push({ start: node.start, end: node.end, text: value });
      edits.push({ start: declaration.start, end: (all[i + 1] as Any).start, text: '' });
    });
  }
  return applied(text, edits);
}

/** Whether a name means the same wherever it stands: nothing within a function is called alike. */
function isShadowed(program: Any, name: string): boolean {
  let found = false;
  walk(program, (node) => {
    const params = node.type === 'ArrowFunctionExpression' ? (node['params'] as Any[]) : [];
    if (params.some((param) => param['name'] === name)) found = true;
    if (node.type !== 'BlockStatement') return;
    for (const statement of node['body'] as Any[]) {
      if (statement.type !== 'VariableDeclaration') continue;
      for (const one of statement['declarations'] as Any[]) if ((one['id'] as Any)['name'] === name) found = true;
    }
  });
  return found;
}

/** Types are known here: no comparison needs the strict form. */
function looseComparisons(text: string): string {
  const edits: Edit[] = [];
  walk(tree(text), (node) => {
    const operator = node['operator'];
    if (node.type !== 'BinaryExpression' || (operator !== '===' && operator !== '!==')) return;
    const from = (node['left'] as Any).end;
    const at = text.indexOf(operator, from);
    edits.push({ start: at, end: at + 3, text: operator.slice(0, 2) });
  });
  return applied(text, edits);
}

const SPELLED_OUT = ['Uint8Array', 'setTimeout', 'clearTimeout'];

/** What the interpreter offers by a long name and is used often has a name of the module's own, which is then shortened. */
export function withOwnNames(text: string): string {
  const program = tree(text);
  const edits: Edit[] = [];
  walk(program, (node, parent) => {
    const member = parent?.type === 'MemberExpression' && parent['property'] === node;
    const name = node['name'] as string;
    if (node.type === 'Identifier' && SPELLED_OUT.includes(name) && !member) {
      edits.push({ start: node.start, end: node.end, text: `own_${name}` });
    }
  });
  return `var ${SPELLED_OUT.map((name) => `own_${name} = ${name}`).join(', ')};\n${applied(text, edits)}`;
}

export function shrink(text: string): string {
  return looseComparisons(inlined(joined(arrows(text.trim()))));
}

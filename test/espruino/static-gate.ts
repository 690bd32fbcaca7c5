import { type Node, parse } from 'acorn';
import { GLOBALS_LACKING, MEMBERS_LACKING } from './lacks.ts';

type Any = Node & Record<string, unknown>;

/** Names a bundle may take from its surroundings: the interpreter's, as far as they were tried there. */
const SURROUNDINGS = new Set(
  [
    '$x $r exports require E JSON Math Object Array String Number Uint8Array Uint32Array ArrayBuffer DataView Error Promise Date',
    'parseInt parseFloat isNaN undefined NaN Infinity setTimeout clearTimeout setInterval clearInterval getTime btoa atob print console process',
  ].flatMap((names) => names.split(' ')),
);

/** Methods that other engines have: whoever calls one here gets undefined, or (for `slice`) another thing than there. */
const MEMBERS = new Set([...Object.values(MEMBERS_LACKING).flat(), 'slice']);
/** They are also names that a program gives to things of its own. */
for (const own of ['at', 'link', 'values', 'keys', 'entries', 'with', 'is']) MEMBERS.delete(own);

const FORBIDDEN: Readonly<Record<string, string>> = {
  ArrayPattern: 'destructuring',
  ObjectPattern: 'destructuring, which parses there and declares nothing',
  AssignmentPattern: 'a default parameter',
  RestElement: 'a rest parameter',
  SpreadElement: 'spread',
  YieldExpression: 'a generator',
  AwaitExpression: 'await',
  ChainExpression: 'optional chaining',
  LabeledStatement: 'a label',
  TaggedTemplateExpression: 'a tagged template',
  ClassDeclaration: 'a class',
  ClassExpression: 'a class',
  ImportExpression: 'import()',
  ImportDeclaration: 'import',
  ExportNamedDeclaration: 'export',
  ExportDefaultDeclaration: 'export',
  MetaProperty: 'new.target or import.meta',
  WithStatement: 'with',
  DebuggerStatement: 'debugger',
};

function childrenOf(node: Any): Any[] {
  return Object.values(node)
    .flat()
    .filter((value): value is Any => typeof value === 'object' && value !== null && 'type' in value);
}

function isFunction(node: Any): boolean {
  return /Function/.test(node.type);
}

/** Names that a node declares for what is beside it. */
function declaredBy(statement: Any): string[] {
  if (statement.type === 'FunctionDeclaration') return [(statement['id'] as Any)['name'] as string];
  if (statement.type !== 'VariableDeclaration') return [];
  return (statement['declarations'] as Any[]).map((one) => (one['id'] as Any)['name'] as string);
}

/** Everything in a module that Espruino cannot run, or runs otherwise, with where it stands. Empty: nothing was found. */
export function staticGate(text: string): string[] {
  const found: string[] = [];
  const program = parse(text, { ecmaVersion: 2022, sourceType: 'script' }) as unknown as Any;
  const say = (node: Any, what: string) =>
    found.push(`${what} at ${node.start}: ${text.slice(node.start, node.start + 40)}`);
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 126) found.push(`a character that is not ASCII at ${i}`);
  }

  const visit = (node: Any, parents: Any[]) => {
    const parent = parents[parents.length - 1];
    const wrong = FORBIDDEN[node.type];
    if (wrong !== undefined) say(node, wrong);
    if (isFunction(node) && node['async'] === true) say(node, 'async');
    if (isFunction(node) && node['generator'] === true) say(node, 'a generator');
    checkNode(node, parent, say);
    if (/^(For|While|Do)/.test(node.type)) checkLoop(node, say);
    if (node.type === 'CatchClause') checkCaught(node, say);
    for (const child of childrenOf(node)) visit(child, [...parents, node]);
  };
  visit(program, []);
  checkOrder(program, say, new Set());
  checkFree(program, say);
  return found;
}

function checkNode(node: Any, parent: Any | undefined, say: (node: Any, what: string) => void): void {
  if (node.type === 'BinaryExpression' && node['operator'] === '**') say(node, '**');
  if (node.type === 'AssignmentExpression' && /^(\*\*|\?\?|\|\||&&)=$/.test(node['operator'] as string))
    say(node, 'a new assignment');
  if (node.type === 'LogicalExpression' && node['operator'] === '??') say(node, '??');
  if (node.type === 'CatchClause' && node['param'] === null) say(node, 'catch without a name');
  if (node.type === 'ArrayExpression' && (node['elements'] as unknown[]).includes(null))
    say(node, 'a hole in an array');
  if (node.type === 'ForOfStatement' && node['await'] === true) say(node, 'for await');
  if (node.type === 'Literal' && 'bigint' in node) say(node, 'a BigInt');
  // Strings are bytes there, and what is sent is ASCII.
  const value = node.type === 'TemplateElement' ? (node['value'] as { cooked: string }).cooked : node['value'];
  if (/^(Literal|TemplateElement)$/.test(node.type) && typeof value === 'string' && /[^\n\r\t -~]/.test(value))
    say(node, 'a text that is not ASCII');
  if (node.type === 'Literal' && /^(CTR|GCM|CCM)$/.test(String(value)))
    say(node, 'a mode whose IV is ignored, or that is lacking');
  if (node.type === 'Literal' && 'regex' in node) {
    const { pattern } = node['regex'] as { pattern: string };
    if (/[?{}]|\\b|\(|\)[*+]|\\[^/.+*\\dws-]/i.test(pattern))
      say(node, 'a regular expression that may silently not match');
  }
  if (
    node.type === 'Property' &&
    (node['computed'] === true || node['shorthand'] === true || node['method'] === true || node['kind'] !== 'init')
  ) {
    say(node, 'a property in another form than name: value');
  }
  if (node.type === 'SwitchStatement') {
    const cases = node['cases'] as Any[];
    if (cases.slice(0, -1).some((one) => one['test'] === null)) say(node, 'a default that is not last');
  }
  if (node.type === 'MemberExpression' && node['computed'] !== true) {
    const name = (node['property'] as Any)['name'] as string;
    if (MEMBERS.has(name)) say(node, `.${name}, which is lacking or other there`);
    if (name === 'length' && parent?.type === 'AssignmentExpression' && parent['left'] === node)
      say(node, 'a length that is set');
    const object = node['object'] as Any;
    if (name === 'name' && object.type === 'NewExpression') say(node, 'the name of an error');
    if (object['name'] === 'Array' && name === 'prototype') say(node, 'Array.prototype');
    if (MEMBERS_LACKING[object['name'] as string]?.includes(name))
      say(node, `${object['name']}.${name}, which is lacking there`);
  }
  if (node.type === 'CallExpression') {
    const callee = node['callee'] as Any;
    const method = callee.type === 'MemberExpression' ? ((callee['property'] as Any)['name'] as string) : '';
    const object = callee.type === 'MemberExpression' ? ((callee['object'] as Any)['name'] as string) : '';
    if (object === 'JSON' && method === 'stringify' && (node['arguments'] as Any[]).length > 1) say(node, 'a replacer');
  }
}

/** An error has no name there. */
function checkCaught(clause: Any, say: (node: Any, what: string) => void): void {
  const caught = (clause['param'] as Any | null)?.['name'];
  const look = (node: Any) => {
    const object = node['object'] as Any | undefined;
    const property = node['property'] as Any | undefined;
    if (node.type === 'MemberExpression' && object?.['name'] === caught && property?.['name'] === 'name')
      say(node, 'the name of an error');
    childrenOf(node).forEach(look);
  };
  look(clause['body'] as Any);
}

/** One binding for all rounds: a function that is made in a loop must not look at what the loop declares. */
function checkLoop(loop: Any, say: (node: Any, what: string) => void): void {
  const declared = new Set<string>();
  const collect = (node: Any) => {
    if (isFunction(node)) return;
    for (const name of declaredBy(node)) declared.add(name);
    childrenOf(node).forEach(collect);
  };
  childrenOf(loop).forEach(collect);
  const within = (node: Any, inFunction: boolean) => {
    if (inFunction && node.type === 'Identifier' && declared.has(node['name'] as string))
      say(node, 'a variable of a loop in a closure');
    for (const child of childrenOf(node)) within(child, inFunction || isFunction(node));
  };
  within(loop, false);
}

/** Nothing is hoisted: what runs at once may use only what stands before it. */
function checkOrder(scope: Any, say: (node: Any, what: string) => void, outer: ReadonlySet<string>): void {
  const body = (scope.type === 'Program' ? scope['body'] : (scope['body'] as Any)['body']) as Any[] | undefined;
  if (Array.isArray(body)) {
    const later = new Set(body.flatMap(declaredBy));
    for (const statement of body) {
      const parts = statement.type === 'VariableDeclaration' ? (statement['declarations'] as Any[]) : [statement];
      for (const part of parts) {
        const own = part.type === 'VariableDeclarator' ? [(part['id'] as Any)['name'] as string] : declaredBy(part);
        usedAtOnce(part, (name, node) => {
          if (later.has(name) && !own.includes(name)) say(node, `${name} before it is defined`);
        });
        for (const name of own) later.delete(name);
      }
    }
  }
  const inner = (node: Any) => {
    if (isFunction(node) && node !== scope) checkOrder(node, say, outer);
    else childrenOf(node).forEach(inner);
  };
  childrenOf(scope).forEach(inner);
}

function usedAtOnce(node: Any, use: (name: string, node: Any) => void): void {
  if (isFunction(node)) return;
  for (const [key, value] of Object.entries(node)) {
    if ((key === 'property' || key === 'key') && node['computed'] !== true) continue;
    for (const child of [value].flat()) {
      if (typeof child !== 'object' || child === null || !('type' in child)) continue;
      const inner = child as Any;
      if (inner.type === 'Identifier') use(inner['name'] as string, inner);
      usedAtOnce(inner, use);
    }
  }
}

/** What is used and declared nowhere must be the interpreter's. */
function checkFree(program: Any, say: (node: Any, what: string) => void): void {
  const declared = new Set<string>();
  const collect = (node: Any) => {
    for (const name of declaredBy(node)) declared.add(name);
    if (isFunction(node)) for (const param of node['params'] as Any[]) declared.add(param['name'] as string);
    if (node.type === 'FunctionExpression' && node['id']) declared.add((node['id'] as Any)['name'] as string);
    if (node.type === 'CatchClause' && node['param']) declared.add((node['param'] as Any)['name'] as string);
    childrenOf(node).forEach(collect);
  };
  collect(program);
  const look = (node: Any) => {
    for (const [key, value] of Object.entries(node)) {
      if ((key === 'property' || key === 'key') && node['computed'] !== true) continue;
      for (const child of [value].flat()) {
        if (typeof child !== 'object' || child === null || !('type' in child)) continue;
        const inner = child as Any;
        const name = inner['name'] as string;
        if (
          inner.type === 'Identifier' &&
          !declared.has(name) &&
          (!SURROUNDINGS.has(name) || GLOBALS_LACKING.includes(name))
        ) {
          say(inner, `${name}, which nobody declares`);
        }
        look(inner);
      }
    }
  };
  look(program);
}

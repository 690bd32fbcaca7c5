import { type Node, parse } from 'acorn';

type Any = Node & Record<string, unknown>;

/*
 * What lies in the interpreter's RAM, in blocks of 13 bytes: what boards of up to 8,191 variables have. As read in its source
 * (`JsVar`) and measured in it.
 */

/** A function: itself, its text (which stays in flash), its scope; a parameter that is not the first is one more. */
const functionBlocks = (params: number) => 5 + Math.max(1, params);
/** A text beyond what its first block takes. */
const further = (chars: number, first: number) => (chars > first ? Math.ceil((chars - first) / 9) : 0);
const nameBlocks = (name: string) => 1 + further(name.length, 4);

/** A value without its name. */
export function valueBlocks(value: unknown): number {
  if (typeof value === 'string') return 1 + further(value.length, 8);
  // Small whole numbers lie in their names.
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2048 ? 0 : 1;
  if (typeof value === 'function') return functionBlocks(value.length);
  if (typeof value !== 'object' || value === null) return 0;
  if (ArrayBuffer.isView(value)) return 3 + Math.ceil(value.byteLength / 13);
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + 1 + valueBlocks(one), 1);
  return Object.entries(value).reduce((sum, [name, one]) => sum + nameBlocks(name) + valueBlocks(one), 1);
}

interface Declared {
  name: string;
  params: number | null;
}

/** What a module declares for good. `params`: of a function; null for anything else. */
export function declaredBy(text: string): Declared[] {
  const program = parse(text, { ecmaVersion: 2022, sourceType: 'script' }) as unknown as Any;
  const paramsOf = (node: Any) => (node['params'] as Any[]).length;
  return (program['body'] as Any[]).flatMap((statement) => {
    if (statement.type === 'FunctionDeclaration')
      return [{ name: (statement['id'] as Any)['name'] as string, params: paramsOf(statement) }];
    if (statement.type !== 'VariableDeclaration') return [];
    return (statement['declarations'] as Any[]).map((one) => {
      const init = one['init'] as Any | null;
      const name = (one['id'] as Any)['name'] as string;
      return { name, params: init !== null && /Function/.test(init.type) ? paramsOf(init) : null };
    });
  });
}

/** What the interpreter makes of a module, its scope and its exports, and of the prototypes that it looks something up in. */
const MODULE_BLOCKS = 85;
/** A timer that runs: an object in a list. */
const TIMER_BLOCKS = 12;

/**
 * Blocks of a module that waits: its functions, its variables as they are, and what it was given. `values`: of its variables,
 * by name; `own`: what it has made and was given beside them.
 */
export function idleBlocks(text: string, values: Record<string, unknown>, own: unknown[]): number {
  const declared = declaredBy(text).map(({ name, params }) => {
    if (params !== null) return functionBlocks(params);
    const value = values[name];
    // A function that is only named anew is the interpreter's own.
    return nameBlocks(name) + (typeof value === 'function' ? 1 : valueBlocks(value));
  });
  return [...declared, ...own.map(valueBlocks)].reduce((sum, one) => sum + one, MODULE_BLOCKS + TIMER_BLOCKS);
}

/** The module with a way to look at its variables, for a realm. */
export function withOpenHeap(text: string): string {
  const names = declaredBy(text).flatMap(({ name, params }) =>
    params === null && !name.startsWith('$') ? [name] : [],
  );
  return `${text}\n;$x.heap=()=>({${names.map((name) => `${name}:${name}`).join(',')}});`;
}

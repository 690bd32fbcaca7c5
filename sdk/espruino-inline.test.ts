import { transformSync } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { inlinedFunctions } from './espruino-inline.ts';

const tidy = (text: string) => transformSync(text, { minifySyntax: true, format: 'esm', target: 'es2015' }).code;
const run = (text: string): unknown[] => {
  const said: unknown[] = [];
  new Function('say', text)((value: unknown) => said.push(value));
  return said;
};

/** What is kept apart is kept because putting it elsewhere would do something else. */
const CASES: [situation: string, source: string, gone: string[]][] = [
  ['called once', 'function f(a) { return a + 1; } say(f(2));', ['f(']],
  ['the same argument always', 'function f(a, b) { say(a + b); } f(1, 5); f(2, 5);', [', 5']],
  [
    'an object that is taken apart',
    'function f(o) { return o.a + o.b + o.a; } function g(x) { say(f({ a: x, b: 2 })); } g(3); g(4);',
    ['{ a:', '.a'],
  ],
  [
    'several statements',
    'function f(a) { let b = a * 2; say(b); return b + a; } function g(a) { let b = f(a + 1); say(a + b); } g(1); g(2);',
    ['f('],
  ],
  [
    'an argument that is worked out, used twice → once',
    'let n = 0; function next() { return ++n; } function f(a) { return a + a; } function g() { say(f(next())); } g(); g(); say(n);',
    [],
  ],
  [
    'an argument that changes while the function is at it',
    'let n = 1; function change() { n = 5; return 0; } function f(a) { return change() + a; } function g() { say(f(n)); } g(); change();',
    [],
  ],
  [
    'a name that means another thing where it is called',
    'let v = 1; function f() { return v; } function g(v) { say(f() + v); } g(10); g(20);',
    [],
  ],
  [
    'in a loop → what is seen of each round stays its own',
    'function f(i) { let mine = i; return () => mine; } function g() { const all = []; for (let i = 0; i < 3; i++) all.push(f(i)); for (const one of all) say(one()); } g();',
    [],
  ],
  ['a function that is handed on', 'function f(a) { return a * 2; } say([1, 2].map(f).join());', []],
];

describe('inlined functions', () => {
  test.each(CASES)('%s → the module says the same', (_situation, source, gone) => {
    const text = inlinedFunctions(source, tidy);
    expect(run(source).length).toBeGreaterThan(0);
    expect(run(text)).toEqual(run(source));
    for (const part of gone) expect(text).not.toContain(part);
  });
});

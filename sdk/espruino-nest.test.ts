import { describe, expect, test } from 'vitest';
import { nestedFunctions } from './espruino-nest.ts';

const NONE = { resident: [], transient: [] };
const run = (text: string): unknown[] => {
  const said: unknown[] = [];
  new Function('say', text)((value: unknown) => said.push(value));
  return said;
};
/** Names that the program itself declares: what lies in RAM all the time. */
const resident = (text: string) => [...text.matchAll(/^(?:function|var|let) (\w+)/gm)].map(([, name]) => name);

describe('nested functions', () => {
  test('used within one function only, and through another of those → declared in it, and it says the same', () => {
    const source = [
      'function deep(n) { return n + 1; }',
      'function mid(n) { return deep(n) * 2; }',
      'function face(n) { say(mid(n)); say(mid(n + 1)); }',
      'face(1);',
    ].join('\n');
    const text = nestedFunctions(source, { resident: ['face'], transient: [] });
    expect(resident(text)).toEqual(['face', 'mid', 'deep']);
    expect(text.startsWith('\n\nfunction face(n) {\nfunction mid(n) {\nfunction deep(n)')).toBe(true);
    expect(run(text)).toEqual(run(source));
  });

  test.each([
    [
      'two use it',
      'function f() { return 1; }\nfunction g() { return f(); }\nfunction h() { return f(); }\nsay(g() + h());',
    ],
    ['the program itself uses it', 'function f() { return 1; }\nfunction g() { return f(); }\nsay(g() + f());'],
    ['it is one of those that stay', 'function stay() { return 1; }\nfunction g() { return stay(); }\nsay(g());'],
    [
      'a name in it is another thing there',
      'let v = 1;\nfunction f() { return v; }\nfunction g(v) { return f() + v; }\nsay(g(10));',
    ],
    ['a variable that keeps something', 'let n = 0;\nfunction g() { return ++n; }\nsay(g());\nsay(g());'],
  ])('%s → stays', (_situation, source) => {
    const text = nestedFunctions(source, { resident: ['stay', 'g', 'h'], transient: [] });
    expect(text).toBe(source);
    expect(run(text).length).toBeGreaterThan(0);
  });

  test('a variable that is named as of one run → declared there; used by two → refused, and told which', () => {
    const source =
      'var now, kept = 5;\nfunction set(n) { now = n; }\nfunction g(n) { set(n); say(now + kept); }\ng(1);\ng(2);';
    const text = nestedFunctions(source, { resident: ['g'], transient: ['now'] });
    expect(text).toContain('var kept = 5;');
    expect(resident(text)).not.toContain('now');
    expect(run(text)).toEqual(run(source));
    expect(() =>
      nestedFunctions('var now;\nfunction g() { now = 1; }\nfunction h() { say(now); }\ng();\nh();', {
        ...NONE,
        transient: ['now'],
      }),
    ).toThrow('now');
  });
});

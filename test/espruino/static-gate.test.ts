import { describe, expect, test } from 'vitest';
import { espruinoBundle } from './bundle.ts';
import { staticGate } from './static-gate.ts';

/** What the module may weigh in flash. */
const BYTES_MAX = 8192;

describe('static gate', () => {
  test.each([true, false])(
    'the built module, minified: %s → nothing that the interpreter cannot run',
    async (minified) => {
      expect(staticGate(await espruinoBundle(minified))).toEqual([]);
    },
  );

  test('size: told, and within the budget', async () => {
    const text = await espruinoBundle();
    console.log(`fuselink.min.js: ${text.length} B (at most ${BYTES_MAX})`);
    expect(text.length).toBeLessThanOrEqual(BYTES_MAX);
  });

  test.each([
    ['const {a} = b;', 'destructuring'],
    ['let [a] = b;', 'destructuring'],
    ['f(...a);', 'spread'],
    ['function f(a = 1) {}', 'default parameter'],
    ['function f(...a) {}', 'rest'],
    ['async function f() {}', 'async'],
    ['function* f() {}', 'generator'],
    ['const a = {}; const f = {a};', 'property in another form'],
    ['const f = {["a"]: 1};', 'property in another form'],
    ['const f = {a() {}};', 'property in another form'],
    ['const a = E?.b;', 'optional chaining'],
    ['const a = E ?? 1;', '??'],
    ['const a = 2 ** 3;', '**'],
    ['a: for (;;) break a;', 'label'],
    ['const a = [1, , 2];', 'hole'],
    ['try { E(); } catch { E(); }', 'catch without a name'],
    ['class A extends Error {}', 'class'],
    ['const a = new Map();', 'Map, which nobody declares'],
    ['const a = Symbol.iterator;', 'Symbol, which nobody declares'],
    ['const a = 1n;', 'BigInt'],
    ['const a = new TextEncoder();', 'TextEncoder, which nobody declares'],
    ['const a = globalish;', 'globalish, which nobody declares'],
    ['const a = Math.imul(1, 2);', '.imul'],
    ['const a = Array.from([]);', '.from'],
    ['const a = Array.prototype.join;', 'Array.prototype'],
    ['const a = Object.freeze({});', '.freeze'],
    ['const a = Object.is(1, 1);', 'Object.is'],
    ['const a = Promise.resolve().finally(E);', '.finally'],
    ['const a = [].findLast(E);', '.findLast'],
    ['const a = new Set();', 'Set, which nobody declares'],
    ['const a = fetch("x");', 'fetch, which nobody declares'],
    ['const a = new URL("x");', 'URL, which nobody declares'],
    ['a = 1; var a;', 'before it is defined'],
    ['const f = {get a() { return 1; }};', 'property in another form'],
    ['try { E(); } catch (e) { E(e.name); }', 'name of an error'],
    ['const a = /(?:x)/;', 'regular expression'],
    ['const a = "\\u00fc";', 'text that is not ASCII'],
    ['E({ mode: "CTR" });', 'a mode whose IV is ignored'],
    ['const a = Promise.race([]);', '.race'],
    ['const a = new Uint8Array(4).slice(1);', '.slice'],
    ['const a = []; a.length = 0;', 'length that is set'],
    ['const a = new Error("x").name;', 'name of an error'],
    ['const a = JSON.stringify({}, null, 2);', 'replacer'],
    ['const a = /x?/;', 'regular expression'],
    ['const a = /(ab)+/;', 'regular expression'],
    ['const a = /x{2}/;', 'regular expression'],
    ['const a = /\\bx/;', 'regular expression'],
    ['switch (E) { default: break; case 1: break; }', 'default that is not last'],
    ['const a = f(); function f() {}', 'before it is defined'],
    ['const a = b; const b = 1;', 'before it is defined'],
    ['const g = function () { const a = b; const b = 1; };', 'before it is defined'],
    ['const l = []; for (let i = 0; i < 3; i++) l.push(() => i);', 'loop in a closure'],
    ['const l = []; for (const a of l) { const b = a; l.push(function () { return b; }); }', 'loop in a closure'],
    ['const a = "ü";', 'not ASCII'],
  ])('canary: %s → found', (text, expected) => {
    expect(staticGate(text).join('\n')).toContain(expected);
  });
});

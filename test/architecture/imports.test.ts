import { describe, expect, test } from 'vitest';
import { importsOf, type SourceFile, sourceFiles } from './source-files.ts';

/**
 * Who may import whom. A rule's `from` is a folder (the most specific rule counts); `own` are the folders of this
 * repository it may import; `packages` says whether npm packages and Node's own modules are allowed.
 */
interface Rule {
  from: string;
  own: readonly string[];
  packages: 'none' | 'node' | 'any';
}

const DOORS: Record<string, string> = {
  '#sdk/protocol': 'sdk/protocol/',
  '#sdk/core': 'sdk/core/',
  '#sdk/node': 'sdk/node/',
  '#sdk/seal': 'sdk/seal/',
  '#sdk/seal/node': 'sdk/seal/',
  '#server': 'server/index.ts',
};

const RULES: readonly Rule[] = [
  { from: 'sdk/protocol/', own: ['sdk/protocol/'], packages: 'none' },
  { from: 'sdk/core/', own: ['sdk/core/', 'sdk/protocol/'], packages: 'none' },
  { from: 'sdk/node/', own: ['sdk/node/', 'sdk/core/', 'sdk/protocol/'], packages: 'node' },
  // Loaded only where something is sealed or opened; in a build it is a file of its own.
  { from: 'sdk/node/seal/', own: ['sdk/node/', 'sdk/core/', 'sdk/protocol/', 'sdk/seal/'], packages: 'node' },
  { from: 'sdk/espruino/', own: ['sdk/espruino/', 'sdk/core/', 'sdk/protocol/'], packages: 'none' },
  { from: 'sdk/seal/', own: ['sdk/seal/', 'sdk/protocol/'], packages: 'any' },
  { from: 'sdk/cli/', own: ['sdk/'], packages: 'node' },
  { from: 'sdk/', own: ['sdk/'], packages: 'any' },
  { from: 'server/domain/', own: ['server/domain/', 'sdk/protocol/'], packages: 'none' },
  { from: 'server/ports/', own: ['server/ports/', 'server/domain/', 'sdk/protocol/'], packages: 'none' },
  {
    from: 'server/usecases/',
    own: ['server/usecases/', 'server/ports/', 'server/domain/', 'sdk/protocol/'],
    packages: 'none',
  },
  {
    from: 'server/adapters/',
    own: ['server/adapters/', 'server/ports/', 'server/domain/', 'sdk/protocol/'],
    packages: 'any',
  },
  {
    from: 'server/http/',
    own: ['server/http/', 'server/usecases/', 'server/ports/', 'server/domain/', 'sdk/protocol/'],
    packages: 'any',
  },
  // What a recipient's browser runs to open a sealed file; bundled into a script of its own.
  {
    from: 'server/http/pages/browser/',
    own: ['server/http/pages/browser/', 'sdk/seal/', 'sdk/protocol/'],
    packages: 'any',
  },
  { from: 'server/dashboard/', own: ['server/dashboard/', 'sdk/protocol/'], packages: 'any' },
  { from: 'server/', own: ['server/', 'sdk/protocol/'], packages: 'any' },
  { from: 'firmware-bridge/', own: ['firmware-bridge/', 'sdk/'], packages: 'any' },
  { from: 'device-sim/', own: ['device-sim/', 'sdk/core/', 'sdk/protocol/', 'server/index.ts'], packages: 'any' },
];

function ruleFor(file: SourceFile): Rule | undefined {
  return [...RULES].sort((a, b) => b.from.length - a.from.length).find((rule) => file.path.startsWith(rule.from));
}

function violations(file: SourceFile): string[] {
  const rule = ruleFor(file);
  if (rule === undefined) return [`${file.path}: stands in no folder of the house`];
  return importsOf(file).flatMap((specifier) => {
    const door = DOORS[specifier];
    const path = door ?? specifier;
    const ours = door !== undefined || /^(sdk|server|firmware-bridge|device-sim|test)\//.test(path);
    if (ours) return rule.own.some((folder) => path.startsWith(folder)) ? [] : [`${file.path} imports ${path}`];
    if (rule.packages === 'any') return [];
    const fromNode = specifier.startsWith('node:');
    return rule.packages === 'node' && fromNode ? [] : [`${file.path} imports ${specifier}`];
  });
}

describe('the house', () => {
  const files = sourceFiles().filter((file) => !file.test);

  test('imports: every file → only what its folder may see', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(files.flatMap(violations)).toEqual([]);
  });

  test('imports: a file that breaks its rule → found', () => {
    const file = {
      path: 'server/domain/x.ts',
      text: "import { a } from '../http/app.ts';\nimport fs from 'node:fs';",
      test: false,
      generated: false,
    };
    expect(violations(file)).toEqual([
      'server/domain/x.ts imports server/http/app.ts',
      'server/domain/x.ts imports node:fs',
    ]);
    const sim = {
      path: 'device-sim/x.ts',
      text: "import { b } from '../server/usecases/deps.ts';",
      test: false,
      generated: false,
    };
    expect(violations(sim)).toHaveLength(1);
  });

  test('pure code: no clock, randomness, timers or console', () => {
    const pure = files.filter((file) => /^(sdk\/(protocol|core)|server\/(domain|ports|usecases))\//.test(file.path));
    const forbidden =
      /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|console\.)|new Date\(\)/;
    const found = pure.filter((file) => forbidden.test(withoutComments(file.text))).map((file) => file.path);
    expect(found).toEqual([]);
  });

  test('files: none over 400 lines, none called utils', () => {
    const long = files.filter((file) => !file.generated && file.text.split('\n').length > 400).map((file) => file.path);
    expect(long).toEqual([]);
    expect(files.filter((file) => /(^|\/)(utils?|helpers|misc|common)\.ts$/.test(file.path))).toEqual([]);
  });

  test('left-overs: no markers of unfinished work, no disabled tests', () => {
    const marker = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'not ' + 'implemented'].join('|'));
    const disabled = /\b(?:test|it|describe)\.(?:only|todo)\(|\bx(?:it|describe)\(/;
    const all = sourceFiles().filter((file) => !file.generated);
    expect(all.filter((file) => marker.test(file.text)).map((file) => file.path)).toEqual([]);
    expect(all.filter((file) => disabled.test(file.text)).map((file) => file.path)).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

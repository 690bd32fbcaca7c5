import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** The fenced code behind `<!-- snippet: NAME -->` in a document; throws where there is none. */
export function snippet(document: string, name: string): string {
  const text = readFileSync(join(ROOT, document), 'utf8');
  const match = new RegExp(`<!-- snippet: ${name} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\\n\`\`\``).exec(text);
  if (match?.[1] === undefined) throw new Error(`${document} has no snippet "${name}"`);
  return match[1];
}

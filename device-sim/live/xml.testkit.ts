/** One element of a document. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  /** The character data in it, entities resolved. */
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#10': '\n' };

function resolved(text: string): string {
  if (/&(?!(amp|lt|gt|quot|apos|#10);)/.test(text)) throw new Error(`expected an entity after each &, got ${text}`);
  return text.replace(/&([^;]+);/g, (_, name: string) => ENTITIES[name] ?? '');
}

/** The root of a document without comments, sections or declarations of its own. Throws for what is not well-formed. */
export function parseXml(document: string): Element {
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
  if (!document.startsWith(head)) throw new Error('expected the XML declaration first');
  const top: Element = { name: '', attributes: {}, children: [], text: '' };
  const open: Element[] = [top];
  const token = /<(\/?)([a-z-]+)((?:\s+[a-z]+="[^"<]*")*)\s*(\/?)>|([^<]+)/gy;
  token.lastIndex = head.length;
  while (token.lastIndex < document.length) {
    const at = token.lastIndex;
    const found = token.exec(document);
    if (found === null) throw new Error(`expected a tag or text at ${at}, got ${document.slice(at, at + 40)}`);
    const [, closes, name = '', attributes = '', empty, text] = found;
    const inside = open[open.length - 1] as Element;
    if (text !== undefined) {
      if (text.includes(']]>')) throw new Error('expected no ]]> in text');
      inside.text += resolved(text);
    } else if (closes === '/') {
      if (inside.name !== name) throw new Error(`expected </${inside.name}>, got </${name}>`);
      open.pop();
    } else {
      const element: Element = { name, attributes: attributesOf(attributes), children: [], text: '' };
      inside.children.push(element);
      if (empty !== '/') open.push(element);
    }
  }
  const [root] = top.children;
  if (open.length !== 1 || root === undefined || top.children.length !== 1) throw new Error('expected one closed root');
  return root;
}

function attributesOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, resolved(value)]);
  const names = new Set(pairs.map(([name]) => name));
  if (names.size !== pairs.length) throw new Error(`expected each attribute once, got ${text}`);
  return Object.fromEntries(pairs);
}

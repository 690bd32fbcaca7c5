import { SERVER_TABLE, WATCH_TABLE } from './table.ts';

function cell(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(' ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The server's table as the Markdown that DESIGN.md holds; a test compares the two. */
export function serverTableMarkdown(): string {
  return table(
    ['state', 'command', 'when', 'next', 'does', 'reply', 'audit', 'safety'],
    SERVER_TABLE.map((row) => [
      row.from === '*' ? 'any' : cell(row.from),
      cell(row.on),
      cell(row.when),
      row.to === null ? 'stays' : cell([row.to]),
      cell(row.does),
      row.reply,
      row.audit === null ? '' : `rotation.${row.audit}`,
      row.safety ? 'yes' : '',
    ]),
  );
}

/** The rows that watch for a copied key, as DESIGN.md holds them. */
export function watchTableMarkdown(): string {
  return table(
    ['state', 'command', 'when', 'alarm'],
    WATCH_TABLE.map((row) => [row.from === '*' ? 'any' : cell(row.from), cell(row.on), cell(row.when), row.alarm]),
  );
}

import { DEVICE_ROWS } from './table.ts';

function cell(words: string[]): string {
  return words.length === 0 ? '' : '`' + words.join('` `') + '`';
}

/** The device's table as the Markdown that DESIGN.md holds; a test compares the two. Not part of any bundle. */
export function deviceTableMarkdown(): string {
  const lines = ['| phase | event | when | next | does | safety |', '|---|---|---|---|---|---|'];
  for (let i = 0; i < DEVICE_ROWS.count; i++) {
    const row = DEVICE_ROWS.at(i);
    const phase = row.phases[0] === '*' ? 'any' : cell(row.phases);
    const event = row.events[0] === '*' ? 'any' : cell(row.events);
    const next = row.next === '=' ? 'stays' : cell([row.next]);
    const safety = row.safety ? 'yes' : '';
    lines.push('| ' + [phase, event, cell(row.guards), next, cell(row.actions), safety].join(' | ') + ' |');
  }
  return lines.join('\n');
}

import type { Command } from 'commander';
import { checkModel, type ModelReport } from './check.ts';

interface Output {
  out(text: string): void;
  err(text: string): void;
}

const HELP = `
Searches every interleaving of one device, one server and the network between them, in the very transition tables
the product executes: unbounded loss, repeats, reordering and delay, power cuts before and inside every slot write,
server crashes between decision and store, spurious refusals, aborts and roll-backs at any time, incidents, rot.
Then it patches the tables into nine designs that are known to lock devices out, and must find each.`;

function storyLines(story: readonly string[]): string[] {
  return story.map((sentence, index) => `    ${String(index + 1).padStart(2)}. ${sentence}`);
}

/** The report for a person. */
export function modelReportText(report: ModelReport): string {
  const searches = report.searches.flatMap((one) => {
    const verdict = one.broken ?? (one.stuck > 0 ? `${one.stuck} states cannot settle` : 'holds');
    return [
      `  ${one.name}: ${one.states} states, ${one.edges} edges: ${verdict}`,
      ...(verdict === 'holds' ? [] : storyLines(one.story)),
    ];
  });
  const designs = report.variants.flatMap((one) => [
    `  ${one.name} (${one.patch}): ${one.bricks ? `bricks after ${one.steps}` : 'NOT FOUND, so this checker is broken'}`,
    ...storyLines(one.story),
  ]);
  return [
    'The product:',
    ...searches,
    '',
    'Designs known to brick:',
    ...designs,
    '',
    `${report.safe ? 'Safe' : 'NOT SAFE'}: ${report.states} states, ${report.edges} edges, ${report.stuck} stuck.`,
    '',
  ].join('\n');
}

/** Adds `fuselink-sim model`. `exit` is called with 1 where the report is not safe. */
export function addModelVerb(program: Command, output: Output, exit: (code: number) => void): void {
  program
    .command('model')
    .description('check the key rotation exhaustively')
    .option('--json', 'print { safe, states, edges, stuck, searches, variants } and nothing else', false)
    .addHelpText('after', HELP)
    .action((options: { json: boolean }) => {
      const report = checkModel((name, done) => {
        if (!options.json) output.err(`${String(Math.floor(done * 100)).padStart(3)} %  ${name}\n`);
      });
      output.out(options.json ? `${JSON.stringify(report)}\n` : modelReportText(report));
      exit(report.safe ? 0 : 1);
    });
}

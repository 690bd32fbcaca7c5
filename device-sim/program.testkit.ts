import { main } from './main.ts';

export interface ProgramRun {
  code: number;
  out: string;
  err: string;
}

/** The program's own entrance, as a user has it. */
export async function runProgram(...args: string[]): Promise<ProgramRun> {
  let out = '';
  let err = '';
  const code = await main(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

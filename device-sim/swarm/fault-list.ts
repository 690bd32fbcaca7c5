import { InvalidArgumentError } from 'commander';
import { FAULT_NAMES, type FaultName } from './faults.ts';

/** Reads the faults of a command line: names with commas between them, or none. */
export function faultList(text: string): FaultName[] {
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    if ((FAULT_NAMES as string[]).includes(name)) return name as FaultName;
    throw new InvalidArgumentError(`expected names of faults with commas between them, got ${name}.`);
  });
}

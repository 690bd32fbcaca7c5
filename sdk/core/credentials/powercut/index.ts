/** The power-cut bench: emulated media and the enumeration of every cut. Not part of any device build. */
export * from './credential-subject.ts';
export * from './cut-files.ts';
export * from './cut-flash.ts';
export * from './power.ts';
export * from './schedules.ts';

export * from './invariants.ts';
export * from './story.ts';
export * from './table.ts';
export * from './telling.ts';
export * from './transition.ts';
export * from './types.ts';
export { GENERATION_MAX, GUARDS, PROPOSALS_MAX } from './words.ts';

export * from './step.ts';
export * from './table.ts';
export * from './types.ts';
export * from './waves.ts';
export { CAMPAIGN_ACTIONS, CAMPAIGN_GUARDS } from './words.ts';

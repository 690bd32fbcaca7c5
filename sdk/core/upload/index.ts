export * from './back-off.ts';
export * from './budget.ts';
export * from './idempotency-key.ts';
export * from './limits.ts';
export { idleUploader, stepUploader } from './step.ts';
export * from './types.ts';
export * from './verdict.ts';

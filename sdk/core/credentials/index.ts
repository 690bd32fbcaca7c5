/** The credential store: NVS-style port, its backends, and the two-slot record of a device's keys (DESIGN §6.1). */
export * from './errors.ts';
export * from './file-nvs.ts';
export * from './flash-nvs.ts';
export * from './flash-pages.ts';
export * from './key.ts';
export * from './memory-nvs.ts';
export * from './nvs.ts';
export * from './powercut/index.ts';
export * from './record.ts';
export * from './slots.ts';

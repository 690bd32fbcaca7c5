export * from './agent.ts';
export * from './answer.ts';
export { unbooted } from './state.ts';
export { DEVICE_ROWS, DEVICE_TABLE, type DeviceRow, type DeviceRows, parseDeviceRow } from './table.ts';
export * from './types.ts';
export { ACTIONS, GUARDS } from './words.ts';

export * from './agent.ts';
export * from './answer.ts';
export * from './machine.ts';
export { unbootedRotation } from './state.ts';
export { DEVICE_ROWS, DEVICE_TABLE, type DeviceRow, type DeviceRows, parseDeviceRow } from './table.ts';
export * from './types.ts';

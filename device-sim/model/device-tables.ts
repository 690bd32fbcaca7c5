/** The one place where the checker takes the device's rotation from. */
export {
  DEVICE_ROWS,
  type DeviceMachine,
  type DeviceRow,
  parseDeviceRow,
  ROTATION_ACTIONS,
  ROTATION_GUARDS,
  type RotationEffect,
  type RotationEvent,
  type RotationSource,
  type RotationState,
  type SlotKey,
  stepRotationWith,
  unbootedRotation,
} from '#sdk/core';

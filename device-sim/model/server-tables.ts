/** The one place where the checker takes the server's rotation from. */
export {
  enrolled,
  GUARDS,
  judgeKey,
  type LooseServerRow,
  type RotationCommand,
  type RotationOutcome,
  type RotationRow,
  SERVER_MACHINE,
  type ServerMachine,
  tellDevice,
  transitionWith,
} from '#server';

/** Why a machine ended. Pure. */
import type { Exit, VmEndReason } from '../backend.ts';

/** What is known of the end of a QEMU process. */
export interface EndSigns {
  readonly exit: Exit;
  /** It was told to end. */
  readonly asked: boolean;
  readonly panicked: boolean;
  /** `reason` of its SHUTDOWN event, see `ShutdownCause` in QEMU's QMP reference; null when there was none. */
  readonly cause: string | null;
  /** It was listened to until its end, so that an event that is not there was never sent. */
  readonly heard: boolean;
}

/** The reason; null where it was asked to end, or where nobody knows. */
export function findReason({ exit, asked, panicked, cause, heard }: EndSigns): VmEndReason | null {
  if (panicked || cause === 'guest-panic') return 'guest-panic';
  if (asked) return null;
  if (cause === 'guest-reset' || cause === 'guest-shutdown') return 'guest-reset';
  const failed = exit.signal !== null || (exit.code !== null && exit.code !== 0);
  return failed || (heard && cause === null) ? 'vm-crash' : null;
}

/** What `monocore doctor` found. Printed as it is by `--json`. */

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  /** `warning`: VMs run, but slower or with less than they could have. `failed`: they do not run. */
  readonly state: 'ok' | 'warning' | 'failed';
  /** What was found, for people. */
  readonly finding: string;
  /** What to do about it; null where nothing is to do. */
  readonly advice: string | null;
}

/** All checks. */
export interface DoctorReport {
  /** True when no check failed. */
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

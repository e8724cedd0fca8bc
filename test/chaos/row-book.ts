/** Runs of a service as the daemon reports them. */
import type { ServiceStatus } from '../../src/protocol/service.ts';

/** A run, known by the moment of its start. */
export interface ToldRun {
  readonly service: string;
  /** Of its command, or of its VM; null where it was never told. */
  pid: number | null;
  /** End of the run; null while it runs or if it was never reported. */
  end: Pick<ServiceStatus, 'exit_code' | 'signal' | 'ended_by' | 'reason' | 'error'> | null;
}

/** Collects rows, from wherever they come, in any order. */
export class RowBook {
  readonly #runs = new Map<string, ToldRun>();

  get runs(): ToldRun[] {
    return [...this.#runs.values()];
  }

  take(row: ServiceStatus): void {
    if (row.started_at === null) return;
    const key = `${row.name} ${row.started_at}`;
    const run = this.#runs.get(key) ?? { service: row.name, pid: null, end: null };
    this.#runs.set(key, run);
    if (row.status === 'Started' && row.pid !== null) run.pid = row.pid;
    if (row.stopped_at === null) return;
    const { exit_code, signal, ended_by, reason, error } = row;
    run.end = { exit_code, signal, ended_by, reason, error };
  }
}

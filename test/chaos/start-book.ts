/** When the user asked for starts: only then a count of restarts may begin anew. */

/** A start that was asked for. */
interface AskedStart {
  /** Of the daemon that was asked; null when none ran. */
  readonly daemonPid: number | null;
  /** Null while it may still be carried out. */
  settledAtMs: number | null;
}

/** By service. */
export class StartBook {
  readonly #starts = new Map<string, AskedStart[]>();

  /** Notes a start; what it returns is called when the daemon has answered. */
  begin(services: readonly string[], daemonPid: number | null): () => void {
    const start: AskedStart = { daemonPid, settledAtMs: null };
    for (const service of services) this.#starts.set(service, [...(this.#starts.get(service) ?? []), start]);
    return () => {
      start.settledAtMs = performance.now();
    };
  }

  /** Returns true if a start may have been carried out since then, by this daemon or the previous one. */
  mayHaveStarted(service: string, sinceMs: number, daemonPids: readonly (number | null)[]): boolean {
    return (this.#starts.get(service) ?? []).some(({ settledAtMs, daemonPid }) =>
      settledAtMs === null ? daemonPids.includes(daemonPid) : settledAtMs >= sinceMs,
    );
  }
}

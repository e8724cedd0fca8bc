/** Interventions in single runs of services. They excuse results that would otherwise be faults of monocore. */
export class KillList {
  readonly #killed = new Set<string>();
  readonly #kills = new Map<string, number>();
  readonly #folderless = new Set<string>();

  /** These processes of the service were killed from here. */
  addKilled(service: string, pids: readonly number[]): void {
    for (const pid of pids) this.#killed.add(`${service} ${pid}`);
    this.#kills.set(service, (this.#kills.get(service) ?? 0) + 1);
  }

  wasKilled(service: string, pids: readonly number[]): boolean {
    return pids.some((pid) => this.#killed.has(`${service} ${pid}`));
  }

  /** Number of kills of a process of the service. */
  killsOf(service: string): number {
    return this.#kills.get(service) ?? 0;
  }

  /** The runtime folder of these processes was deleted: their pipes and their exit record are out of reach. */
  addFolderless(service: string, pids: readonly number[]): void {
    for (const pid of pids) this.#folderless.add(`${service} ${pid}`);
    if (pids.length > 0) this.#folderless.add(service);
  }

  wasFolderless(service: string, pids: readonly number[]): boolean {
    return pids.some((pid) => this.#folderless.has(`${service} ${pid}`));
  }

  /** Returns true if it happened to any run of the service. */
  wasEverFolderless(service: string): boolean {
    return this.#folderless.has(service);
  }
}

/** Journal of a run: violations and actions with their times. The file is kept when something is wrong. */
import { appendFileSync } from 'node:fs';

/** Something that must not be. */
export interface Violation {
  /** Milliseconds since the begin of the run, when it was seen first. */
  readonly atMs: number;
  readonly text: string;
}

/** Collects them. */
export class Findings {
  readonly #path: string;
  readonly #startedAtMs = performance.now();
  readonly #violations = new Map<string, Violation>();

  /** @param path the file */
  constructor(path: string) {
    this.#path = path;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAtMs;
  }

  get violations(): Violation[] {
    return [...this.#violations.values()];
  }

  /** Says what was done. */
  tell(text: string): void {
    appendFileSync(this.#path, `${(this.elapsedMs / 1000).toFixed(3).padStart(9)} ${text}\n`);
  }

  /** Says what must not be; once, however often it is seen. */
  complain(text: string): void {
    if (this.#violations.has(text)) return;
    this.#violations.set(text, { atMs: Math.round(this.elapsedMs), text });
    this.tell(`VIOLATION: ${text}`);
  }
}

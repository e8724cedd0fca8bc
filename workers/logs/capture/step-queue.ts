/** What a sink has to do, worked off in order: what was done is forgotten, what fails stays for a later try. */
import type { Clock } from '../../../src/lib/clock.ts';
import type { HeldStep } from '../../../src/protocol/logs.ts';
import type { FrameMemory, Framer } from '../format/framer.ts';
import type { RecordWriter } from './record-writer.ts';
import { type CallStep, type DiskStep, DONE, frameStep, holdSteps, isDiskStep, leftOf, type Step } from './steps.ts';

/** What a queue works with, and whom it tells. */
export interface StepQueueOptions {
  readonly memory: FrameMemory;
  readonly writer: RecordWriter;
  readonly framer: Framer;
  readonly clock: Clock;
  /** Other bytes are to be written, or at another place, than before; nothing of that was done yet. */
  readonly onChanged: () => void;
  readonly onCall: (step: CallStep) => void;
  /** What a writer that died had begun is not where it was: it goes on in another file. */
  readonly onElsewhere?: (() => void) | undefined;
}

/** One call at a time; steps may come at any time. */
export class StepQueue {
  readonly #options: StepQueueOptions;
  readonly #steps: Step[] = [];
  /** The first framed step may be in the file already, as far as a writer that died came. */
  #isResumed = false;

  constructor(options: StepQueueOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** Bytes that wait. */
  get bytes(): number {
    let bytes = 0;
    for (const step of this.#steps) if ('bytes' in step) bytes += step.bytes.length;
    return bytes - this.#options.writer.progressBytes;
  }

  push(...steps: readonly Step[]): void {
    this.#steps.push(...steps);
  }

  /** Opens the file, then does what a sink before had to do. */
  resume(steps: readonly Step[]): void {
    this.#steps.push({ type: 'open' }, ...steps);
    this.#isResumed = true;
  }

  clear(): void {
    this.#steps.length = 0;
  }

  /** What another sink must do to go on. */
  hold(): HeldStep[] {
    return holdSteps(this.#steps, this.#options.writer.progressBytes);
  }

  /** Works off what waits; false when writing fails. */
  work(): boolean {
    for (let step = this.#steps[0]; step; step = this.#steps[0]) {
      if (!isDiskStep(step)) this.#expand(step);
      else if (!this.#leave(step, this.#perform(step))) return false;
    }
    return true;
  }

  /** As {@link StepQueue.work}, without stopping the thread. */
  async workAsync(): Promise<boolean> {
    for (let step = this.#steps[0]; step; step = this.#steps[0]) {
      if (!isDiskStep(step)) this.#expand(step);
      else if (!this.#leave(step, await this.#performAsync(step))) return false;
    }
    return true;
  }

  /** Puts what `step` comes to in its place. */
  #expand(step: Exclude<Step, DiskStep>): void {
    const { memory, framer, clock, onCall, onChanged } = this.#options;
    if (step.type === 'call') {
      this.#steps.shift();
      onCall(step);
    } else {
      this.#steps.splice(0, 1, ...frameStep(step, memory, framer, clock.now()));
      onChanged();
    }
  }

  /** Returns what is left of `step`, for a later try. */
  #perform(step: DiskStep): readonly Step[] {
    const { writer } = this.#options;
    if (step.type === 'open') return writer.open() ? DONE : [step];
    return leftOf(step.bytes, writer.write(step.bytes, 0, step.bytes.length));
  }

  async #performAsync(step: DiskStep): Promise<readonly Step[]> {
    const { writer } = this.#options;
    if (step.type === 'open') return (await writer.openAsync()) ? DONE : [step];
    return leftOf(step.bytes, await writer.writeAsync(step.bytes));
  }

  /** Keeps what is left of the first step; true when that is nothing. */
  #leave(step: DiskStep, left: readonly Step[]): boolean {
    // Everything may have been given up meanwhile.
    if (this.#steps[0] === step) this.#steps.splice(0, 1, ...left);
    if (left.length > 0) return false;
    if (step.type === 'open') this.#skipWritten();
    return true;
  }

  #skipWritten(): void {
    const { writer, onElsewhere, onChanged } = this.#options;
    const written = writer.resume();
    if (!this.#isResumed) return;
    this.#isResumed = false;
    const [first] = this.#steps;
    if (first?.type !== 'framed') {
      if (written === null) onElsewhere?.();
    } else if (written !== null) {
      this.#steps.splice(0, 1, ...leftOf(first.bytes, Math.min(written, first.bytes.length)));
    }
    onChanged();
  }
}

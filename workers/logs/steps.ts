/** What a sink has to do, in order, while it cannot do it at once. */
import { type FrameMemory, type Framer, type Gap, INPUT_START } from './framer.ts';

/** Work on the disk. */
export type DiskStep = { readonly type: 'open' } | { readonly type: 'framed'; readonly bytes: Buffer };

/** Work that becomes work on the disk. */
export type FramingStep =
  /** Bytes of the stream; at most as many as the memory takes as input. */
  | { readonly type: 'raw'; readonly bytes: Buffer }
  | { readonly type: 'end-line' }
  | { readonly type: 'gap'; readonly gap: Gap };

export type Step = DiskStep | FramingStep | { readonly type: 'call'; readonly run: () => void };

/** Nothing is left to do. */
export const DONE: readonly Step[] = Object.freeze([]);

export function isDiskStep(step: Step): step is DiskStep {
  return step.type === 'open' || step.type === 'framed';
}

/** What is left of framed `bytes` of which those before `at` are written. */
export function leftOf(bytes: Buffer, at: number): readonly Step[] {
  return at === bytes.length ? DONE : [{ type: 'framed', bytes: bytes.subarray(at) }];
}

/** The steps that one framing step comes to: framed records, and what did not fit. */
export function frameStep(step: FramingStep, memory: FrameMemory, framer: Framer, nowMs: number): readonly Step[] {
  switch (step.type) {
    case 'raw': {
      const { bytes } = step;
      memory.bytes.set(bytes, INPUT_START);
      const end = INPUT_START + bytes.length;
      const at = framer.frame(INPUT_START, end, nowMs);
      const framed = copyOutput(memory);
      return at === end ? [framed] : [framed, { type: 'raw', bytes: bytes.subarray(at - INPUT_START) }];
    }
    case 'end-line':
      framer.endLine(nowMs);
      return [copyOutput(memory)];
    case 'gap':
      return [{ type: 'framed', bytes: framer.notice(step.gap, nowMs) }];
  }
}

/** The output of the memory from `from` on; a copy, because the memory belongs to the next stream. */
export function copyOutput(memory: FrameMemory, from: number = memory.outputStart): DiskStep {
  return { type: 'framed', bytes: Buffer.from(memory.output.subarray(from, memory.outputEnd)) };
}

/** What a sink has to do, in order, while it cannot do it at once. */

import type { Gap } from '../../../src/protocol/log-files/record.ts';
import type { HeldStep } from '../../../src/protocol/logs.ts';
import { type FrameMemory, type Framer, INPUT_START } from '../format/framer.ts';

/** Work on the disk. */
export type DiskStep = { readonly type: 'open' } | { readonly type: 'framed'; readonly bytes: Buffer };

/** Work that becomes work on the disk. */
export type FramingStep =
  /** Bytes of the stream; at most as many as the memory takes as input. */
  | { readonly type: 'raw'; readonly bytes: Buffer }
  | { readonly type: 'end-line' }
  | { readonly type: 'gap'; readonly gap: Gap };

/** Tells that all that comes before is in the file. */
export interface CallStep {
  readonly type: 'call';
  /** `end` is not handed on: a stream ends again for who opens it again. */
  readonly tells: 'marker-seen' | 'end';
  readonly run: () => void;
}

export type Step = DiskStep | FramingStep | CallStep;

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

/** What of `steps` another sink must do; copies. @param written bytes of the first step that are in the file */
export function holdSteps(steps: readonly Step[], written: number): HeldStep[] {
  return steps.flatMap((step, index): HeldStep[] => {
    switch (step.type) {
      case 'framed':
        return [{ type: 'framed', bytes: new Uint8Array(step.bytes.subarray(index === 0 ? written : 0)) }];
      case 'raw':
        return [{ type: 'raw', bytes: new Uint8Array(step.bytes) }];
      case 'call':
        return step.tells === 'marker-seen' ? [{ type: 'marker-seen' }] : [];
      case 'open':
        return [];
      default:
        return [step];
    }
  });
}

/** The steps that {@link holdSteps} made. @param tellMarker for `marker-seen` */
export function takeSteps(held: readonly HeldStep[], tellMarker: () => void): Step[] {
  return held.map((step): Step => {
    if (step.type === 'marker-seen') return { type: 'call', tells: 'marker-seen', run: tellMarker };
    if (step.type === 'framed' || step.type === 'raw') return { type: step.type, bytes: asBuffer(step.bytes) };
    return step;
  });
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

/** The framer in WebAssembly, see `frame.wat`. Compiled once for each thread: it has half a kilobyte. */
import { FRAME_WASM } from './frame-wasm.ts';

/** A page, in which WebAssembly counts the size of a memory. */
const PAGE_BYTES = 65_536;

/** Frames whole lines sixteen bytes at a time. Places are those in {@link SimdFramer.memory}. */
export interface SimdFramer {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Where the output of the last call ends. */
  readonly outEnd: { readonly value: number };
  /** How many lines the last call framed. */
  readonly lines: { readonly value: number };
  /**
   * Frames the whole lines at the start of [at, to), each of which begins a record.
   *
   * @param limit no line is begun when `out` and what is left of the input, in JSON twice as much, are beyond it
   * @param isJson 1 for JSON, 0 for text
   * @returns where it stopped: `to`, or where a line begins that is left to the caller, for want of room or because it is
   * no whole one, is longer than `maxLineBytes`, or has bytes that JSON needs more for than a backslash
   */
  frame(
    at: number,
    to: number,
    out: number,
    limit: number,
    prefix: number,
    prefixBytes: number,
    maxLineBytes: number,
    isJson: 0 | 1,
  ): number;
}

// The types of Node leave WebAssembly to those of browsers; this is as much of it as is needed here.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Omit<SimdFramer, 'memory'> };
};

/**
 * Makes one, with a memory of at least `memoryBytes`; null where that cannot be: a processor without SIMD, Node with
 * `--jitless`, or a limit of the address space, of which V8 takes gigabytes for each memory.
 */
export function openSimdFramer(memoryBytes: number): SimdFramer | null {
  try {
    const pages = Math.ceil(memoryBytes / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const module = new WebAssembly.Module(Buffer.from(FRAME_WASM, 'base64'));
    const { exports } = new WebAssembly.Instance(module, { monocore: { memory } });
    return { memory, outEnd: exports.outEnd, lines: exports.lines, frame: exports.frame };
  } catch {
    return null;
  }
}

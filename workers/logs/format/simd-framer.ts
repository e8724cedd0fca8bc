/** WebAssembly framer, see `frame.wat`. Each thread compiles its half kilobyte once. */
import { FRAME_WASM } from './frame-wasm.ts';

/** Page size of WebAssembly memory. */
const PAGE_BYTES = 65_536;

/** Converts whole lines to records, sixteen bytes at a time. All positions are offsets in {@link SimdFramer.memory}. */
export interface SimdFramer {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** End of the output of the last call. */
  readonly outEnd: { readonly value: number };
  /** Number of lines converted by the last call. */
  readonly lines: { readonly value: number };
  /**
   * Converts the whole lines at the start of [at, to), each of which begins a record.
   *
   * @param limit a line is converted only if `out` plus the rest of the input, or twice the rest for JSON, is within it
   * @param isJson 1 for JSON, 0 for text
   * @returns the offset at which it stopped: `to`, or the start of a line that is left to the caller, because there is
   * no room, the line is incomplete or longer than `maxLineBytes`, or in JSON one of its bytes needs more than a
   * backslash, or it begins with `{` and is not the first line
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

// Node's types do not declare WebAssembly; this is the part needed here.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Omit<SimdFramer, 'memory'> };
};

/**
 * Creates a framer with a memory of at least `memoryBytes`. Null if that is not possible: on a processor without SIMD,
 * in Node with `--jitless`, or with a limit on the address space, because V8 reserves gigabytes for each memory.
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

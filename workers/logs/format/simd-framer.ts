/** WebAssembly framer, see `frame.wat`. Each thread compiles its half kilobyte once. */
import { FRAME_WASM } from './frame-wasm.ts';

/** Unit of the size of a WebAssembly memory. */
const PAGE_BYTES = 65_536;

/** Frames whole lines, sixteen bytes at a time. All positions are offsets in {@link SimdFramer.memory}. */
export interface SimdFramer {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** End of the output of the last call. */
  readonly outEnd: { readonly value: number };
  /** Number of lines that the last call framed. */
  readonly lines: { readonly value: number };
  /**
   * Frames the whole lines at the start of [at, to), each of which begins a record.
   *
   * @param limit a line is framed only if `out` plus the rest of the input, twice the rest in JSON, is within it
   * @param isJson 1 for JSON, 0 for text
   * @returns where it stopped: `to`, or the start of a line that is left to the caller, because there is no room, it is not
   * whole, it is longer than `maxLineBytes`, or JSON needs more than a backslash for one of its bytes
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

// Node's types do not declare WebAssembly; this is the part that is needed here.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Omit<SimdFramer, 'memory'> };
};

/**
 * Makes a framer with a memory of at least `memoryBytes`. Null where that is impossible: on a processor without SIMD, in
 * Node with `--jitless`, or under a limit of the address space, because V8 reserves gigabytes for each memory.
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

/** Contenders: the programs that are compared, and the terms of a measurement. */
import type { Producer } from './loads.ts';

/** A measurement, in a fresh process and a folder of its own. */
export interface Run {
  /** For FIFOs and the like. */
  readonly dir: string;
  /** Where the contender keeps what it was given; empty, and nothing else may be in it afterwards but small files. */
  readonly outDir: string;
  readonly producer: Producer;
}

/** Cost of a run. */
export interface Cost {
  /** From the start of the producer until everything is written and closed. */
  readonly seconds: number;
  /** User and system time of the contender alone, without its start. */
  readonly cpuSeconds: number;
}

/** A program that takes lines from a pipe to files. */
export interface Contender {
  readonly name: string;
  /** True if each line gets a time. */
  readonly stamps: boolean;
  /** Tells if it starts a new file at 10 MiB, and if it keeps the full ones. */
  readonly rolls: 'yes' | 'no' | 'drops old';
  /** Part of the load that it gets, below 1 for those that would take minutes. Speeds stay comparable. */
  readonly share: number;
  /** Called once; `dir` is kept until the end. Returns why the contender cannot take part, or null. */
  prepare(dir: string): Promise<string | null>;
  measure(run: Run): Promise<Cost>;
}

/** 10 MiB: how large a file may grow, with every contender that rolls. */
export const MAX_FILE_BYTES = 10 * 2 ** 20;

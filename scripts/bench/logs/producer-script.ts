/** The producer for peers that start it themselves: a script that waits for a sign, so that starts are not measured. */
import { closeSync, constants, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { errorCode } from '../../../src/lib/errors.ts';
import type { Run } from './contender.ts';
import { nowSeconds, readCpuSeconds, TIMED } from './processes.ts';

const POLL_MS = 1;
const TIMEOUT_S = 20;

/** A producer that waits. */
export interface WaitingProducer {
  /** The script: an executable file. */
  readonly path: string;
  /** Lets it go on, once it waits. Throws when it was not started within 20 s. */
  release(): Promise<void>;
  hasEnded(): boolean;
  /** Its own CPU seconds; after its end. */
  cpuSeconds(): number;
}

/** Writes the script and what it needs into the run's folder. */
export function writeProducerScript({ dir, producer }: Run): WaitingProducer {
  const path = join(dir, 'producer');
  const sign = join(dir, 'go');
  const timesPath = join(dir, 'producer-times');
  const words = ['bash', '-c', TIMED, timesPath, ...producer.command].map(quote).join(' ');
  const text = [
    '#!/bin/bash',
    'export LC_ALL=C',
    `mkfifo ${quote(sign)}`,
    `read -r _ <${quote(sign)}`,
    `exec ${words}`,
  ];
  writeFileSync(path, `${text.join('\n')}\n`, { mode: 0o755 });
  return {
    path,
    release: () => release(sign),
    hasEnded: () => statSync(timesPath).size > 0,
    cpuSeconds: () => readCpuSeconds(timesPath),
  };
}

async function release(sign: string): Promise<void> {
  const fd = await openWhenRead(sign);
  writeSync(fd, '\n');
  closeSync(fd);
}

/** Without a reader the FIFO cannot be opened like this, see fifo(7). */
async function openWhenRead(path: string): Promise<number> {
  for (const deadline = nowSeconds() + TIMEOUT_S; ; await setTimeout(POLL_MS)) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      const isEarly = errorCode(error) === 'ENXIO' || errorCode(error) === 'ENOENT';
      if (!isEarly || nowSeconds() > deadline) throw error;
    }
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

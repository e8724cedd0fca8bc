/** A door: a place where input from outside is parsed. */
import assert from 'node:assert/strict';
import { errorCode, MonocoreError } from '../../src/lib/errors.ts';

/** A place where input from outside is parsed. */
export interface Door {
  /** Inputs besides the corpus. */
  readonly seeds?: () => Promise<readonly Buffer[]>;
  /** Makes of a changed input one that gets past a checksum. */
  readonly mend?: (input: Buffer) => Buffer;
  /** Fails for an input that is neither taken nor refused. @param dir an empty folder of the run's own */
  enter(input: Buffer, dir: string): unknown;
}

/** Passes over errors with one of the codes. */
export async function refuses(codes: readonly string[], take: () => unknown): Promise<void> {
  try {
    await take();
  } catch (error) {
    if (!(error instanceof MonocoreError) || !codes.includes(errorCode(error) ?? '')) throw error;
    assert.notEqual(error.message, '');
  }
}

export const toBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

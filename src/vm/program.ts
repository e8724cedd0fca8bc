/** What runs as a service: a command with all that it is given. */
import { MonocoreError } from '../errors.ts';
import type { Service } from '../protocol/service.ts';

/** A command that is complete: nothing of it is left to an image. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  /** Absolute path where it runs. */
  readonly workdir: string;
}

/**
 * The program of a service that has no image, where the config names all of it.
 *
 * @throws MonocoreError `Internal` for a service with an image
 */
export function ownProgram({ name, command, args, envs, workdir }: Service): Program {
  if (command === null || workdir === null) {
    throw new MonocoreError('Internal', `what ${name} runs is said by its image`);
  }
  return { command, args, envs, workdir };
}

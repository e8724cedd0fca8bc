/** What the commands on images have in common. */
import { Images, type RequestOptions } from '../../images/image-jobs.ts';
import { JobPool } from '../../threads/job-pool.ts';
import type { CliContext } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { catchInterrupt } from '../operation.ts';
import { createPlainDownloads } from '../progress/downloads.ts';
import { createTerminalDownloads } from '../progress/downloads-terminal.ts';

/** Runs a request without progress. */
export async function withImages<Result>(
  context: CliContext,
  ask: (images: Images) => Promise<Result>,
): Promise<Result> {
  const pool = new JobPool();
  try {
    return await ask(new Images(pool, context.paths));
  } finally {
    await pool.close();
  }
}

/**
 * Runs a request, shows its progress, and calls it off at Ctrl-C. Returns the exit code.
 *
 * @throws what the request throws
 */
export async function followImages(
  context: CliContext,
  ask: (images: Images, options: RequestOptions) => Promise<unknown>,
): Promise<number> {
  const { stdout, stderr } = context;
  const interrupt = catchInterrupt();
  const downloads = stdout.isTTY ? createTerminalDownloads(stdout) : createPlainDownloads((text) => stdout.write(text));
  try {
    await withImages(context, (images) =>
      ask(images, { signal: interrupt.signal, onEvent: (event) => downloads.handle(event) }),
    );
    return EXIT.done;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    downloads.close();
    stderr.write('monocore: interrupted; the next pull goes on from what is here\n');
    return EXIT.interrupted;
  } finally {
    downloads.close();
    interrupt.release();
  }
}

/** Requests on images: sent to the daemon of the home if one runs, carried out in this process otherwise. */
import { type ImageRequests, Images, type RequestOptions } from '../../images/image-jobs.ts';
import { MonocoreError } from '../../lib/errors.ts';
import { type CliContext, connect } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { catchInterrupt } from '../operation.ts';
import { createPlainDownloads, type Downloads } from '../progress/downloads.ts';
import { terminalOf } from '../render/safe-output.ts';

/** Runs a request without showing progress. */
export async function withImages<Result>(
  context: CliContext,
  ask: (images: ImageRequests) => Promise<Result>,
): Promise<Result> {
  const client = await connect(context, 'never');
  if (client) return ask(client.images);
  const { JobPool } = await import('../../threads/job-pool.ts');
  const pool = new JobPool();
  const images = new Images(pool, context.paths);
  try {
    return await ask(images);
  } finally {
    await images.settle();
    await pool.close();
  }
}

/** Runs a request, shows its progress and cancels it on Ctrl-C. Returns the exit code. */
export async function followImages(
  context: CliContext,
  ask: (images: ImageRequests, options: RequestOptions) => Promise<unknown>,
): Promise<number> {
  const { stderr } = context;
  const interrupt = catchInterrupt();
  const downloads = await createDownloads(context);
  try {
    await withImages(context, (images) =>
      ask(images, { signal: interrupt.signal, onEvent: (event) => downloads.handle(event) }),
    );
    await downloads.close('done');
    return EXIT.done;
  } catch (error) {
    await downloads.close('failed');
    if (!interrupt.signal.aborted) throw withHint(error);
    stderr.write('monocore: interrupted; the next pull resumes the download\n');
    return EXIT.interrupted;
  } finally {
    interrupt.release();
  }
}

async function createDownloads({ stdout, stderr }: CliContext): Promise<Downloads> {
  if (!stdout.isTTY) return createPlainDownloads((text) => stdout.write(text));
  const { createTerminalDownloads } = await import('../progress/terminal.ts');
  return createTerminalDownloads(terminalOf(stdout), terminalOf(stderr));
}

/** Adds a hint to the error of a request whose daemon ended. */
function withHint(error: unknown): unknown {
  if (!(error instanceof MonocoreError) || error.code !== 'DaemonUnreachable') return error;
  const hint = 'run the command again; a pull resumes its download';
  return new MonocoreError(error.code, error.message, { cause: error.cause, details: { hint } });
}

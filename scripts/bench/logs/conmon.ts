/**
 * conmon, which podman and CRI-O put between a container and its log. It takes no input: it makes pipes, has an OCI
 * runtime start the container on them and reads until all is over. Here the runtime is a script and the container the
 * producer; conmon does everything that it does for a real one.
 */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Contender, type Cost, MAX_FILE_BYTES, type Run } from './contender.ts';
import { ended, isInstalled, nowSeconds, readCpuSeconds, TIMED } from './processes.ts';
import { writeProducerScript } from './producer-script.ts';

const RUNTIME = fileURLToPath(new URL('fixtures/oci-runtime.sh', import.meta.url));
const ID = 'bench';

/** With a limit conmon starts its one file over when it is full. */
export const conmon: Contender = {
  name: 'conmon',
  stamps: true,
  rolls: 'drops old',
  share: 1,
  prepare: async () => (isInstalled('conmon') ? null : 'not installed, see scripts/bench/setup.sh'),
  measure,
};

async function measure(run: Run): Promise<Cost> {
  const { dir, outDir } = run;
  const producer = writeProducerScript(run);
  const timesPath = join(dir, 'times');
  const exitDir = join(dir, 'exit');
  mkdirSync(exitDir);
  const command = [
    'conmon',
    '--sync',
    // It ends with an fsync otherwise, which no other contender does.
    '--no-sync-log',
    ...['--cid', ID, '--cuuid', ID, '--name', ID],
    ...['--runtime', RUNTIME, '--bundle', dir, '--socket-dir-path', dir, '--exit-dir', exitDir],
    ...['--container-pidfile', join(dir, 'container.pid')],
    ...['--log-path', `k8s-file:${join(outDir, 'log')}`, '--log-size-max', `${MAX_FILE_BYTES}`],
  ];
  const child = spawn('bash', ['-c', TIMED, timesPath, ...command], { stdio: ['ignore', 'inherit', 'inherit'] });
  const end = ended(child, 'conmon');
  await Promise.race([producer.release(), end]);
  const startedAt = nowSeconds();
  await end;
  const seconds = nowSeconds() - startedAt;
  // conmon waits for the producer like a shell does, so the time of both is in its own.
  return { seconds, cpuSeconds: readCpuSeconds(timesPath) - producer.cpuSeconds() };
}

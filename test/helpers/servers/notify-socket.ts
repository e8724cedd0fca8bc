/** The socket of a service manager, read by a program of its own: Node has no datagram sockets of the unix domain. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '../eventually.ts';
import { findTestProgram } from '../processes/test-program.ts';
import { defer, makeTempDir } from '../temp.ts';

const receiver = fileURLToPath(new URL('../../fixtures/notify-socket.pl', import.meta.url));

/** Messages to a service manager. */
export interface NotifyReceiver {
  readonly path: string;
  /** `PATH` with systemd-notify in it. */
  readonly searchPath: string;
  /** Each message as its assignments, oldest first. */
  readonly messages: readonly string[][];
  /** Waits for a message from index `from` on with that assignment; returns its index. */
  until(assignment: string, from?: number): Promise<number>;
}

/** Receives until the test has ended. */
export async function receiveNotifications(t: TestContext): Promise<NotifyReceiver> {
  const path = join(await makeTempDir(t), 'notify.sock');
  const child = spawn('perl', [receiver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  defer(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const messages: string[][] = [];
  const lines = createInterface({ input: child.stdout });
  await once(lines, 'line');
  lines.on('line', (line) => messages.push(line.split('\t')));
  return {
    path,
    searchPath: `${dirname(findTestProgram('systemd-notify'))}:${process.env.PATH}`,
    messages,
    async until(assignment, from = 0) {
      const index = await eventually(assignment, () => {
        const found = messages.findIndex((message, at) => at >= from && message.includes(assignment));
        return found === -1 ? null : { found };
      });
      return index.found;
    },
  };
}

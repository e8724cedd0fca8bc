import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TYPESCRIPT_OPTIONS } from './typescript.ts';

/** A program of test/fixtures that runs. */
interface Fixture {
  readonly pid: number;
  /** The next line that it prints; throws when it has ended. */
  readLine(): Promise<string>;
  writeLine(line: string): void;
  /** Kills it and waits until it is gone. */
  kill(): Promise<void>;
}

/**
 * Starts `test/fixtures/<name>`, to be killed when the test has ended.
 *
 * @param wrapper a program that becomes the given one, and its options
 */
export function startFixture(
  t: Pick<TestContext, 'after'>,
  name: string,
  args: readonly string[] = [],
  wrapper: readonly string[] = [],
): Fixture {
  const path = fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));
  const loader = name.endsWith('.ts') ? TYPESCRIPT_OPTIONS : [];
  const [program = '', ...words] = [...wrapper, process.execPath, ...loader, path, ...args];
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(program, words, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  t.after(kill);
  return {
    pid: child.pid!,
    async readLine() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${name} has ended`);
      return value;
    },
    writeLine: (line) => child.stdin.write(`${line}\n`),
    kill,
  };
}

/** A log shipper that runs as a child of the test, with the package's config. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { findTestProgram } from '../processes/test-program.ts';
import { defer, makeTempDir } from '../temp.ts';
import { renderShipperConfig } from './configs.ts';
import type { ShipperPaths, ShipperProgram } from './programs.ts';

/** A record as a shipper delivers it. */
export interface ShippedRecord {
  readonly time: string;
  readonly level: string;
  readonly service: string;
  readonly stream: string;
  readonly message: string;
}

/** End of a process. */
interface Exit {
  readonly code: number | null;
  readonly stderr: string;
}

/** Shipper with a state folder: stopped and started again, it goes on where it was. */
class Shipper {
  readonly #executable: string;
  readonly #program: ShipperProgram;
  readonly #paths: ShipperPaths;
  readonly #outputFile: string;
  #running: { readonly child: ChildProcess; readonly exit: Promise<Exit> } | null = null;
  #hasFailed: Error | null = null;

  /** @param dir empty, for everything that the shipper writes */
  constructor(program: ShipperProgram, dir: string, logDir: string) {
    this.#program = program;
    this.#executable = findTestProgram(program.executable);
    this.#outputFile = join(dir, 'output.ndjson');
    const config = join(dir, `${program.name}.conf`);
    this.#paths = { config, mainConfig: join(dir, 'main.conf'), stateDir: join(dir, 'state') };
    mkdirSync(this.#paths.stateDir);
    writeFileSync(config, renderShipperConfig(program.name, logDir, this.#outputFile));
    writeFileSync(this.#paths.mainConfig, program.mainConfig(this.#paths));
  }

  /** Lets the shipper check its config. */
  async check(): Promise<Exit> {
    return await this.#spawn(this.#program.checkArgs(this.#paths)).exit;
  }

  start(): void {
    const { name } = this.#program;
    const running = this.#spawn(this.#program.runArgs(this.#paths));
    this.#running = running;
    void running.exit.then(({ code, stderr }) => {
      if (this.#running !== running) return;
      this.#running = null;
      this.#hasFailed = new Error(`${name} has ended by itself with code ${code}: ${stderr}`);
    });
  }

  /** Asks it to end and waits until it has; throws when it ends with an error or has ended before. */
  async stop(): Promise<void> {
    this.#throwFailure();
    const running = this.#running;
    if (!running) return;
    this.#running = null;
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.exit;
    if (code !== 0) throw new Error(`${this.#program.name} has ended with code ${code}: ${stderr}`);
  }

  /** Lets it read its config and look for files again. */
  reload(): void {
    this.#throwFailure();
    this.#running?.child.kill('SIGHUP');
  }

  /** Ends it by force, whatever it does. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.child.kill('SIGKILL');
    await running?.exit;
  }

  /** Number of records delivered so far; throws if it has ended by itself. */
  countDelivered(): number {
    this.#throwFailure();
    return this.#readOutput().split('\n').length - 1;
  }

  /** Everything that it has delivered. */
  readDelivered(): ShippedRecord[] {
    return this.#readOutput()
      .split('\n')
      .slice(0, -1)
      .map((line): ShippedRecord => JSON.parse(line));
  }

  #readOutput(): string {
    try {
      return readFileSync(this.#outputFile, 'utf8');
    } catch {
      return ''; // It has delivered nothing yet.
    }
  }

  #throwFailure(): void {
    if (this.#hasFailed) throw this.#hasFailed;
  }

  #spawn(args: readonly string[]): { readonly child: ChildProcess; readonly exit: Promise<Exit> } {
    const child = spawn(this.#executable, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const exit = Promise.all([once(child, 'exit'), text(child.stderr)]).then(
      ([[code], stderr]): Exit => ({ code, stderr }),
    );
    return { child, exit };
  }
}

/** A shipper of the files in `logDir`, not started yet; it is ended with the test. */
export async function makeShipper(t: TestContext, program: ShipperProgram, logDir: string): Promise<Shipper> {
  const shipper = new Shipper(program, await makeTempDir(t), logDir);
  defer(t, () => shipper.kill());
  return shipper;
}

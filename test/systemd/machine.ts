/** A virtual machine that a real systemd has booted, for tests of the daemon as a service of it. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '../helpers/eventually.ts';
import { type BaseImage, ensureBaseImage, makeDisk, type Release } from './base-image.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Reached only by a test that fails: a boot takes half a minute under software emulation, several beside other work. */
const BOOT_TIMEOUT_MS = 1_200_000;
const COMMAND_TIMEOUT_MS = 600_000;

/** End of a script. */
export interface Result {
  readonly status: number;
  /** Standard output and error together. */
  readonly output: string;
}

/**
 * A machine with this checkout's build as /opt/monocore and `monocore` in its PATH. What is written there is lost. Each boot
 * is a QEMU of its own over the same disks: a machine that is reset runs badly under software emulation.
 */
export class Machine {
  readonly #dir: string;
  readonly #image: BaseImage;
  #qemu: ChildProcess | null = null;
  #shell: Socket | null = null;
  #answers: AsyncIterator<string> | null = null;

  private constructor(dir: string, image: BaseImage) {
    this.#dir = dir;
    this.#image = image;
  }

  /** Makes its disks and boots it. @param packages of Debian that are needed beside those of each machine */
  static async boot(release: Release, packages: readonly string[] = []): Promise<Machine> {
    const image = ensureBaseImage(release, packages);
    const dir = mkdtempSync(join(tmpdir(), 'systemd-vm-'));
    const machine = new Machine(dir, image);
    try {
      execFileSync('cp', ['--sparse=always', '--reflink=auto', image.disk, join(dir, 'root.ext4')]);
      copyPackage(join(dir, 'package'));
      makeDisk(join(dir, 'package'), join(dir, 'monocore.ext4'), 'monocore', 256);
      rmSync(join(dir, 'package'), { recursive: true });
      await machine.#start();
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  /** Messages of the kernel and of systemd since the first boot. */
  console(): string {
    return readFileSync(join(this.#dir, 'console.log'), 'utf8');
  }

  /** Runs a script of bash as root. */
  async run(script: string, timeoutMs = COMMAND_TIMEOUT_MS): Promise<Result> {
    this.#shell!.write(`${Buffer.from(script).toString('base64')}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not within ${timeoutMs / 1000} s: ${script}`)), timeoutMs);
    });
    // Without its port, since the answer that comes late would be taken for the next one.
    late.catch(() => this.#shell!.destroy());
    const answer = await Promise.race([this.#answers!.next(), late]).finally(() => clearTimeout(timer));
    if (answer.done) throw new Error(`the machine ended during: ${script}\n${this.console().slice(-3000)}`);
    const [status, output = ''] = answer.value.split(' ');
    return { status: Number(status), output: Buffer.from(output, 'base64').toString().trimEnd() };
  }

  /** Output of a script that must succeed. */
  async sh(script: string, timeoutMs?: number): Promise<string> {
    const { status, output } = await this.run(script, timeoutMs);
    if (status !== 0) throw new Error(`exit status ${status} of: ${script}\n${output}`);
    return output;
  }

  /** Waits until a script succeeds; its output. */
  until(script: string, timeoutMs = COMMAND_TIMEOUT_MS): Promise<string> {
    let last: Result | null = null;
    const attempt = async () => {
      last = await this.run(script);
      return last.status === 0 ? last : null;
    };
    return eventually(script, attempt, timeoutMs).then(
      ({ output }) => output,
      (error: Error) => {
        throw new Error(`${error.message}; the last time: ${last?.output}`, { cause: error });
      },
    );
  }

  /** Shuts down as a host does. @returns seconds that it took */
  async powerOff(): Promise<number> {
    const began = performance.now();
    const exited = once(this.#qemu!, 'exit');
    this.#shell!.write(`${Buffer.from('systemctl --no-block poweroff').toString('base64')}\n`);
    await exited;
    return (performance.now() - began) / 1000;
  }

  /** Shuts down and boots again. @returns seconds that the shutdown took */
  async reboot(): Promise<number> {
    const seconds = await this.powerOff();
    await this.#start();
    return seconds;
  }

  async close(): Promise<void> {
    this.#shell?.destroy();
    if (this.#qemu && this.#qemu.exitCode === null && this.#qemu.signalCode === null) {
      const exited = once(this.#qemu, 'exit');
      this.#qemu.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { kernel, initrd } = this.#image;
    const file = (name: string) => join(this.#dir, name);
    const disk = (name: string) => [
      ...['-drive', `file=${file(name)}.ext4,format=raw,if=none,id=${name},cache=unsafe`],
      ...['-device', `virtio-blk-pci,drive=${name}`],
    ];
    const command = 'root=LABEL=root rw console=ttyS0 quiet systemd.show_status=1 mitigations=off';
    rmSync(file('shell'), { force: true });
    this.#qemu = spawn(
      'setpriv',
      [
        // It ends with this process, however that one ends.
        ...['--pdeathsig', 'KILL', 'qemu-system-x86_64'],
        ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-M', 'q35'],
        // A /dev/kvm that is there need not work.
        ...['-accel', 'tcg,thread=multi', '-cpu', 'max,svm=off', '-m', '2048', '-smp', '2'],
        ...['-kernel', kernel, '-initrd', initrd, '-append', `${command} systemd.unified_cgroup_hierarchy=1`],
        ...disk('root'),
        ...disk('monocore'),
        ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci'],
        ...['-chardev', `socket,id=shell,path=${file('shell')},server=on,wait=off`],
        ...['-device', 'virtserialport,chardev=shell,name=test.shell'],
        ...['-chardev', `file,id=console,path=${file('console.log')},append=on`, '-serial', 'chardev:console'],
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    this.#shell = await this.#connect(file('shell'));
    this.#answers = createInterface({ input: this.#shell, crlfDelay: Number.POSITIVE_INFINITY })[
      Symbol.asyncIterator
    ]();
    await this.run('systemctl is-system-running --wait', BOOT_TIMEOUT_MS);
  }

  async #connect(path: string): Promise<Socket> {
    return eventually('the socket of QEMU', async () => {
      const socket = connect(path);
      try {
        await once(socket, 'connect');
        return socket;
      } catch {
        if (this.#qemu!.exitCode !== null) throw new Error(`QEMU ended with status ${this.#qemu!.exitCode}`);
        return null;
      }
    });
  }
}

/** Copies the build and the packages that it needs, without those of development. */
function copyPackage(target: string): void {
  mkdirSync(target);
  for (const name of ['dist', 'package.json']) cpSync(join(ROOT, name), join(target, name), { recursive: true });
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>;
  };
  for (const [path, { dev, optional }] of Object.entries(packages)) {
    if (path !== '' && !dev && !optional)
      cpSync(join(ROOT, path), join(target, path), { recursive: true, dereference: true });
  }
}

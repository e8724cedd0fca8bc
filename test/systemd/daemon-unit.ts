/** Services and questions that the suites of the machine share. */
import assert from 'node:assert/strict';
import type { ServiceStatus } from '../../src/protocol/service.ts';
import type { Machine } from './machine.ts';

/** `a` leaves a process in a session of its own, and has a child with 50 MB. Both note their ends in `folder`. */
const renderConfig = (folder: string) => `
[[service]]
name = "a"
command = "/bin/sh"
args = ["-c", '''
setsid sleep 4242 &
(head -c 60000000 /dev/zero; exec sleep 4243) | tail -c 50000000 >/dev/null &
trap 'echo bye; echo a >>${folder}/ended; exit 0' TERM
echo up
while :; do sleep 1 & wait $!; done
''']
isolation = "none"
cpu_shares = 512
restart = "always"

[[service]]
name = "b"
command = "/bin/sh"
args = ["-c", "trap 'echo bye; echo b >>${folder}/ended; exit 0' TERM; echo up; while :; do sleep 1 & wait $!; done"]
isolation = "none"
cpu_shares = 2048
depends_on = ["a"]
restart = "unless-stopped"
`;

/** The daemon in a machine, as root or as a user, and the manager of its unit. */
export class DaemonUnit {
  readonly #machine: Machine;
  readonly #as: string;
  readonly systemctl: string;
  /** Folder of the cgroups of its services. */
  readonly slice: string;

  /** @param user null for root */
  constructor(machine: Machine, user: string | null = null) {
    this.#machine = machine;
    this.#as =
      user === null
        ? ''
        : `runuser -u ${user} -- env -C /home/${user} HOME=/home/${user} XDG_RUNTIME_DIR=/run/user/$(id -u ${user})`;
    this.systemctl = user === null ? 'systemctl' : 'systemctl --user';
    this.slice =
      user === null
        ? '/sys/fs/cgroup/system.slice/system-monocore.slice'
        : `/sys/fs/cgroup/user.slice/user-$(id -u ${user}).slice/user@$(id -u ${user}).service/app.slice/app-monocore.slice`;
  }

  /** Runs a simple command as the user of the daemon; its output. */
  sh(command: string): Promise<string> {
    return this.#machine.sh(`${this.#as} ${command}`);
  }

  run(command: string) {
    return this.#machine.run(`${this.#as} ${command}`);
  }

  /** Writes the unit, and starts it. */
  async install(options = ''): Promise<void> {
    await this.sh(`monocore daemon install ${options}`);
    // An emulated machine beside other work stands still for longer than a host.
    await this.change('WatchdogSec=2min', 'TimeoutStartSec=infinity');
    await this.sh(`${this.systemctl} daemon-reload`);
    await this.run(`${this.systemctl} enable --now monocore`);
    await this.active();
  }

  /** Changes the unit as `systemctl edit` does. The manager reads it with the next `daemon-reload`. */
  async change(...lines: readonly string[]): Promise<void> {
    const folder = this.#as === '' ? '/etc/systemd/system' : `${await this.sh('pwd')}/.config/systemd/user`;
    const text = ['[Service]', ...lines].join('\n');
    await this.#machine.sh(`mkdir -p ${folder}/monocore.service.d
      cat >${folder}/monocore.service.d/${lines[0]!.split('=')[0]}.conf <<'EOF'\n${text}\nEOF`);
  }

  /** Waits until the daemon is ready: on a busy host systemd may have to start it more than once. */
  async active(): Promise<void> {
    await this.#machine.until(`${this.#as} ${this.systemctl} is-active monocore`);
  }

  /** Waits until the daemon has ended by itself. */
  async stopped(): Promise<void> {
    await this.#machine.until(`${this.#as} ${this.systemctl} is-active monocore | grep -E '^(inactive|failed)$'`);
    assert.equal(await this.property('Result'), 'success');
  }

  async property(name: string): Promise<string> {
    return this.sh(`${this.systemctl} show monocore -p ${name} --value`);
  }

  /** Kills the daemon, and waits until systemd has started the next one. */
  async crash(): Promise<void> {
    const restarts = Number(await this.property('NRestarts'));
    await this.#machine.sh(`kill -9 ${await this.property('MainPID')}`);
    await this.#machine.until(
      `[ "$(${this.#as} ${this.systemctl} show monocore -p NRestarts --value)" -gt ${restarts} ]`,
    );
    await this.active();
  }

  /** Starts the services of {@link renderConfig}. */
  async startServices(): Promise<void> {
    const folder = await this.sh('pwd');
    const path = `${folder}/monocore.toml`;
    await this.#machine.sh(`cat >${path} <<'EOF'\n${renderConfig(folder)}\nEOF\nchmod 644 ${path}`);
    await this.sh(`monocore start -f ${path}`);
  }

  /** Waits until both services run; their process ids. */
  async running(): Promise<number[]> {
    await this.#machine.until(`[ "$(${this.#as} monocore status --json | grep -o '"status":"Started"' | wc -l)" = 2 ]`);
    const { a, b } = await this.status();
    return [a!.pid!, b!.pid!];
  }

  /** Services in the order in which they ended since the last question. */
  async ended(): Promise<string> {
    const file = `${await this.sh('pwd')}/ended`;
    return this.#machine.sh(`paste -sd ' ' ${file} 2>/dev/null; rm -f ${file}`);
  }

  async status(): Promise<Record<string, ServiceStatus>> {
    const { stdout } = await this.#ask('monocore status --json');
    const { services } = JSON.parse(stdout) as { services: ServiceStatus[] };
    return Object.fromEntries(services.map((service) => [service.name, service]));
  }

  /** Weight and processes of the scope of each service. */
  async scopes(): Promise<Record<string, { weight: number; pids: number[] }>> {
    const script = `for scope in ${this.slice}/*/monocore-*.scope; do
      [ -d "$scope" ] && echo "$scope $(cat "$scope/cpu.weight" 2>/dev/null || echo 0) $(tr '\\n' ' ' <"$scope/cgroup.procs")"
    done; true`;
    const lines = (await this.#machine.sh(script)).split('\n').filter(Boolean);
    return Object.fromEntries(
      lines.map((line) => {
        const [path = '', weight, ...pids] = line.trim().split(' ');
        return [/-([a-z]+)\.scope$/.exec(path)?.[1] ?? path, { weight: Number(weight), pids: pids.map(Number) }];
      }),
    );
  }

  /** Both services run in their scopes, with their weights. */
  async assertLimited({ cpu = true } = {}): Promise<void> {
    const [scopes, services] = [await this.scopes(), await this.status()];
    assert.deepEqual(Object.keys(scopes).sort(), ['a', 'b']);
    for (const [name, weight] of [
      ['a', 50],
      ['b', 200],
    ] as const) {
      if (cpu) assert.equal(scopes[name]!.weight, weight);
      assert.ok(scopes[name]!.pids.includes(services[name]!.pid!), `${name} is not in its scope`);
      assert.deepEqual(services[name]!.notes, []);
    }
  }

  /** Standard output of a command that may print notes beside it. */
  async #ask(command: string): Promise<{ stdout: string }> {
    return { stdout: await this.#machine.sh(`${this.#as} ${command} 2>/dev/null`) };
  }
}

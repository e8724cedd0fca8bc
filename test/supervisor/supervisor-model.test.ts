/**
 * A supervisor in a world that does anything at any time, in the order that the kernel and the backends promise: random
 * commands, events and faults, and after each of them what must always hold.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { NO_METRICS, type Service } from '../../src/protocol/service.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { FakeContext, type FakeVm, settle } from '../helpers/fakes/fake-context.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { rounds } from '../helpers/rounds.ts';

const SERVICE: Service = scriptService('web', 'true', {
  on_unhealthy: 'restart',
  healthcheck: healthCheck({ interval_ms: 1000, retries: 2 }),
  restart: { when: 'on-failure', max_restarts: 4, reset_ms: 60_000, max_memory_bytes: 1000 },
});

/** Process of a VM as the kernel sees it. */
interface Process {
  readonly vm: FakeVm;
  alive: boolean;
  exited: boolean;
}

class World {
  readonly context = new FakeContext();
  readonly web: Supervisor;
  readonly processes: Process[] = [];
  readonly history: string[] = [];
  /** Promises of commands: each must settle once the service is down. */
  readonly pending = new Set<Promise<unknown>>();

  constructor() {
    this.web = new Supervisor({ service: SERVICE, group: null, groupIp: null, kernel: null }, this.context);
  }

  get process(): Process | undefined {
    return this.processes.at(-1);
  }

  /** Notices a VM that was launched. */
  async pass(): Promise<void> {
    await settle();
    const vm = this.context.vms.get('web');
    if (vm && vm !== this.process?.vm) this.processes.push({ vm, alive: true, exited: false });
  }

  command(promise: Promise<unknown>): void {
    const settled = promise.catch(() => {}).finally(() => this.pending.delete(settled));
    this.pending.add(settled);
  }

  check(): void {
    const { status, pid } = this.web.status();
    const story = () => `${status} after ${this.history.join(', ')}\n${this.context.calls.join('\n')}`;
    const alive = this.processes.filter((process) => process.alive);
    assert.ok(alive.length <= 1, `two VMs at once: ${story()}`);
    if (status === 'Started') {
      // Its end may have happened just now; then it is not Started when everything has been handled.
      assert.equal(alive[0]?.vm.identity.pid, pid, `Started without its process: ${story()}`);
    }
    if (status === 'Stopped' || status === 'Failed' || status === 'Unstarted') {
      assert.equal(this.context.clock.timers, 0, `a timer after the end: ${story()}`);
      assert.equal(alive.length, 0, `a process after the end: ${story()}`);
      assert.ok(!this.process?.vm.streamsOpen, `ended before its streams: ${story()}`);
      const calls = this.context.callsOf('web');
      const concluded = calls.findLastIndex((call) => call.startsWith('conclude'));
      const cleaned = calls.lastIndexOf('cleanUp');
      const begun = Math.max(calls.lastIndexOf('launch'), calls.lastIndexOf('prepare'));
      assert.ok(begun === -1 || (begun < cleaned && cleaned < concluded), `an end that was not saved: ${story()}`);
      assert.equal(this.context.lines.size + this.context.samples.size, 0, `something is still watched: ${story()}`);
    }
  }
}

type Model = Record<string, never>;

/** An action that is possible while `when` is true. */
class Happening implements fc.AsyncCommand<Model, World> {
  readonly name: string;
  readonly #when: (world: World) => boolean;
  readonly #happen: (world: World) => void;

  constructor(name: string, when: (world: World) => boolean, happen: (world: World) => void) {
    this.name = name;
    this.#when = when;
    this.#happen = happen;
  }

  check(): boolean {
    return true;
  }

  async run(_model: Model, world: World): Promise<void> {
    if (!this.#when(world)) return;
    world.history.push(this.name);
    this.#happen(world);
    await world.pass();
    world.check();
  }

  toString(): string {
    return this.name;
  }
}

const always = () => true;
const runs = ({ process }: World) => process?.alive === true && !process.exited;
const lives = ({ process }: World) => process?.alive === true;

function fault(
  name: string,
  set: (context: FakeContext, action: () => Promise<void>) => void,
): fc.Arbitrary<Happening> {
  return fc.boolean().map(
    (fails) =>
      new Happening(`${name} ${fails ? 'fails' : 'works'}`, always, ({ context }) =>
        set(context, async () => {
          if (fails) throw new Error(`${name} failed`);
        }),
      ),
  );
}

const happening = (name: string, when: (world: World) => boolean, happen: (world: World) => void) =>
  fc.constant(new Happening(name, when, happen));

const COMMANDS: fc.Arbitrary<Happening>[] = [
  happening('start', always, (world) => world.command(world.web.start())),
  happening('stop', always, (world) => world.command(world.web.stop())),
  happening('stop now', always, (world) => world.command(world.web.stop(0))),
  happening('suspend', always, (world) => world.command(world.web.suspend())),
  happening('job-started', runs, ({ process }) => process!.vm.start()),
  happening('job-failed', runs, ({ process }) => process!.vm.emit({ type: 'job-failed', error: 'not found' })),
  fc.integer({ min: 0, max: 1 }).map(
    (code) =>
      new Happening(`job-exited ${code}`, runs, ({ process }) => {
        process!.exited = true;
        process!.vm.emit({ type: 'job-exited', exit: { code, signal: null } });
      }),
  ),
  happening('process-ended', lives, ({ process }) => {
    process!.alive = false;
    process!.vm.endProcess({ code: null, signal: 'SIGKILL' });
  }),
  happening(
    'streams-ended',
    ({ process }) => process?.alive === false && process.vm.streamsOpen,
    ({ process }) => {
      process!.vm.endStreams();
    },
  ),
  fc
    .boolean()
    .map((ok) => new Happening(`probe ${ok}`, always, ({ context }) => context.probeResults.push({ ok, detail: '' }))),
  fc
    .constantFrom('no space', null)
    .map((reason) => new Happening(`stalled: ${reason}`, always, ({ context }) => context.stallLogs('web', reason))),
  happening('memory', runs, ({ context }) => context.samples.get('web')?.({ ...NO_METRICS, memory_usage: 2000 })),
  fc
    .integer({ min: 1, max: 130_000 })
    .map((ms) => new Happening(`${ms} ms pass`, always, ({ context }) => context.clock.advance(ms))),
  fault('prepare', (context, action) => Object.assign(context, { onPrepare: action })),
  fault('launch', (context, action) => Object.assign(context, { onLaunch: action })),
  fault('save', (context, action) => Object.assign(context, { onSave: action })),
  fault('the log worker', (context, action) => Object.assign(context, { onMarker: action })),
];

/** Stops the service in its current state; only the kernel answers from now on. */
async function shutDown(world: World): Promise<void> {
  Object.assign(world.context, { onSave: async () => {} });
  world.history.push('shut down');
  world.command(world.web.stop(0));
  await world.pass();
  for (let step = 0; world.web.active; step += 1) {
    assert.ok(step < 20, `a stop never ends after ${world.history.join(', ')}\n${world.context.calls.join('\n')}`);
    const { process } = world;
    if (process?.alive && world.context.callsOf('web').at(-1) === 'kill SIGKILL') {
      process.alive = false;
      process.vm.endProcess({ code: null, signal: 'SIGKILL' });
    } else if (process && !process.alive && process.vm.streamsOpen) {
      process.vm.endStreams();
    } else world.context.clock.advance(10_000);
    await world.pass();
  }
  world.check();
  assert.match(world.web.status().status, /^(Unstarted|Stopped|Failed)$/);
  assert.equal(world.pending.size, 0, `a command never ended after ${world.history.join(', ')}`);
}

test('there is at most one VM, and every end is complete', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 40 }), async (commands) => {
      const world = new World();
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
      await shutDown(world);
    }),
    { numRuns: rounds(300) },
  );
});

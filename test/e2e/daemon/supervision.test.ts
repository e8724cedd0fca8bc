/** Health, conditions, restarts and disks of real services, VMs among them. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DEFAULT_LOG_SETTINGS } from '../../../src/protocol/log-settings.ts';
import type { Service, ServiceStatus } from '../../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS, type HealthCheck, type Probe } from '../../../src/protocol/supervision.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';

const TIMING = { interval_ms: 300, timeout_ms: 5000, retries: 2, start_period_ms: 20_000 };

function checked(probe: Probe, timing: Partial<HealthCheck> = {}): HealthCheck {
  return { ...TIMING, ...timing, probe };
}

describe('supervision of real services', () => {
  let host: TestRuntime;
  before(async () => {
    host = await openTestRuntime();
  });
  after(() => host.close());

  const row = (name: string): ServiceStatus => host.orchestrator.services().find((service) => service.name === name)!;
  const start = async (...services: Service[]) => {
    const reply = await host.orchestrator.start(configOf(services));
    return reply.services.map(({ error }) => error);
  };
  const becomes = (name: string, what: string, isSo: (service: ServiceStatus) => boolean) =>
    eventually(`${name} to be ${what}`, () => isSo(row(name)) && row(name));

  it('finds a line that a service prints, and lets those start that wait for it', async () => {
    const script = 'echo booting; sleep 0.3; echo "ready on port 1"; exec sleep 1000';
    const errors = await start(
      scriptService('talker', script, {
        isolation: 'none',
        healthcheck: checked({ type: 'log_line', pattern: '^ready on port \\d+$' }),
      }),
      scriptService('listener', 'exec sleep 1000', {
        isolation: 'none',
        depends_on: [{ service: 'talker', condition: 'healthy' }],
      }),
    );
    assert.deepEqual(errors, [null, null]);
    assert.equal(row('talker').health, 'healthy');
    assert.ok(row('listener').started_at! > row('talker').started_at!);
    await host.orchestrator.stop();
  });

  it('takes a prompt, which no newline ends, for a line', async () => {
    for (const format of ['text', 'json'] as const) {
      const [error] = await start(
        scriptService('prompt', "printf 'booting\\nready> '; exec sleep 1000", {
          isolation: 'none',
          healthcheck: checked({ type: 'log_line', pattern: '^ready> $' }),
          log: { ...DEFAULT_LOG_SETTINGS, format },
        }),
      );
      assert.equal(error, null);
      await becomes('prompt', 'healthy', ({ health }) => health === 'healthy');
    }
    await host.orchestrator.stop();
  });

  it('looks for the line again in each run, and over the death of the log worker', async () => {
    await start(
      scriptService('late', 'sleep 0.6; echo ready; exec sleep 1000', {
        isolation: 'none',
        healthcheck: checked({ type: 'log_line', pattern: 'ready' }),
      }),
    );
    await host.runtime.logs.thread.crash();
    await becomes('late', 'healthy', ({ health }) => health === 'healthy');
    await host.orchestrator.restart();
    assert.equal(row('late').health, 'starting');
    await becomes('late', 'healthy', ({ health }) => health === 'healthy');
    await host.orchestrator.stop();
  });

  it('restarts a service that becomes unhealthy, and counts it', async () => {
    const flag = join(host.home, 'flag');
    await start(
      scriptService('moody', `touch ${flag}; trap 'exit 0' TERM; while :; do sleep 0.05; done`, {
        isolation: 'none',
        healthcheck: checked({ type: 'exec', command: ['/bin/test', '-e', flag] }, { start_period_ms: 0 }),
        on_unhealthy: 'restart',
      }),
    );
    await becomes('moody', 'healthy', ({ health }) => health === 'healthy');
    rmSync(flag);
    await becomes('moody', 'back', ({ restarts, health }) => restarts === 1 && health === 'healthy');
    assert.equal(row('moody').last_restart_reason, 'it was unhealthy: exit code 1');
    await host.orchestrator.stop();
  });

  it('gives a service up that fails too often in a row', async () => {
    const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'on-failure', max_restarts: 1 } as const;
    await start(scriptService('hopeless', 'echo no; exit 3', { isolation: 'none', restart }));
    const { error, exit_code, restarts } = await becomes('hopeless', 'given up', ({ status }) => status === 'Failed');
    assert.equal(error, 'gave up after 1 restart in a row; last reason: exit code 3');
    assert.deepEqual([exit_code, restarts], [3, 1]);
    const log = readFileSync(join(host.home, 'log/hopeless.stdout.log'), 'utf8');
    assert.equal(log.match(/ no\n/g)?.length, 2);
  });

  it('asks a guest by each kind of probe, keeps what it wrote over a restart, and finds a panic', async () => {
    const script = [
      'mkdir -p /srv /data; echo page >/srv/index.html; cat /data/runs 2>/dev/null; echo run >>/data/runs',
      'httpd -p 80 -h /srv; echo up',
      "trap 'echo bye; exit 5' TERM; while :; do sleep 0.1; done",
    ].join('\n');
    const guest = (probe: Probe) => scriptService('guest', script, { disk_mib: 64, healthcheck: checked(probe) });
    const probes: Probe[] = [
      { type: 'http', port: 80, path: '/index.html' },
      { type: 'tcp', port: 80 },
      { type: 'exec', command: ['grep', '-q', 'page', '/srv/index.html'] },
    ];
    for (const [index, probe] of probes.entries()) {
      assert.deepEqual(await start(guest(probe)), [null]);
      await becomes('guest', `healthy by ${probe.type}`, ({ health }) => health === 'healthy');
      await eventually('its last line', () => host.lines('guest', 'stdout').at(-1) === 'up');
      const printed = host.lines('guest', 'stdout').slice(-(index + 1));
      assert.deepEqual(printed, [...Array(index).fill('run'), 'up'], 'what earlier runs wrote is there');
      if (index === probes.length - 1) break;
      await host.orchestrator.stop();
      assert.deepEqual([row('guest').exit_code, row('guest').ended_by], [5, 'stop_signal']);
    }
    const panic = scriptService('panicking', 'sleep 0.2; echo c >/proc/sysrq-trigger; sleep 100');
    await start(panic);
    const { reason, error, last_lines } = await becomes('panicking', 'gone', ({ status }) => status === 'Failed');
    assert.equal(reason, 'guest-panic');
    assert.match(error!, /the guest's kernel panicked/);
    assert.ok(
      last_lines.some((line) => line.includes('Kernel panic')),
      last_lines.join('\n'),
    );
    await host.orchestrator.remove();
    assert.deepEqual(host.orchestrator.services(), []);
  });
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { renderDaemonStatus } from '../../../src/cli/render/daemon-status.ts';
import { renderDoctor } from '../../../src/cli/render/doctor.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';

test("the doctor's report has a line per check, advice beneath it and a verdict", () => {
  const checks = [
    { name: 'qemu', state: 'ok', finding: '7.2.0', advice: null },
    { name: 'kernel', state: 'failed', finding: 'none', advice: 'Run scripts/setup.sh.\nOr name one.' },
  ] as const;
  assert.equal(
    renderDoctor({ ok: false, checks }, NO_COLORS),
    [
      'ok       qemu    7.2.0',
      'failed   kernel  none',
      '                 Run scripts/setup.sh.',
      '                 Or name one.',
      '',
      'This host cannot run microVMs yet.',
      '',
    ].join('\n'),
  );
  assert.match(renderDoctor({ ok: true, checks: [] }, NO_COLORS), /can run microVMs/);
});

test("the daemon's status names its process, home, age and threads", () => {
  const status = {
    pid: 42,
    version: '1.2.3',
    started_at: '2026-11-23T08:00:00.000Z',
    home: '/home/me/.monocore',
    services: 3,
    threads: [
      { name: 'logs', state: 'ready', restarts: 0 },
      { name: 'api', state: 'restarting', restarts: 2 },
    ],
  } as const;
  assert.equal(
    renderDaemonStatus(status, Date.parse('2026-11-23T09:30:00.000Z'), NO_COLORS),
    [
      'PID          42',
      'Version      1.2.3',
      'Home         /home/me/.monocore',
      'Started      2026-11-23T08:00:00.000Z (1h 30m ago)',
      'Services     3',
      'Thread logs  ready',
      'Thread api   restarting, restarted 2 times',
      '',
    ].join('\n'),
  );
});

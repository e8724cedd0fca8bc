import assert from 'node:assert/strict';
import test from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import { renderStatusTable } from '../../../src/cli/render/status-table.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import { NO_METRICS } from '../../../src/protocol/service.ts';
import { makeService } from '../../helpers/fakes/listed-services.ts';

const NOW = Date.parse('2026-11-23T08:03:05.000Z');

function render(services: Parameters<typeof renderStatusTable>[0], columns = Number.POSITIVE_INFINITY): string[] {
  return renderStatusTable(services, { colors: NO_COLORS, now: NOW, columns }).trimEnd().split('\n');
}

/** Cells of a line whose columns are two spaces apart. */
function cells(line: string | undefined): string[] {
  return (line ?? '').trim().split(/ {2,}/);
}

test('a running service has its size, process, address, cost and age in its row', () => {
  const [head, row, ...rest] = render([makeService()]);
  assert.deepEqual(cells(head), [
    'Service',
    'Group',
    'vCPUs',
    'RAM',
    'VM PID',
    'Status',
    'IP',
    'CPU',
    'Memory',
    'Uptime',
    'Restarts',
  ]);
  assert.deepEqual(cells(row), [
    'web',
    'demo',
    '1',
    '128M',
    '12345',
    'running',
    '127.0.0.2',
    '1.3%',
    '123M',
    '3m 5s',
    '0',
  ]);
  assert.deepEqual(rest, []);
});

test('unknown values are dashes', () => {
  const [, row] = render([
    makeService({ group: null, status: 'Unstarted', pid: null, group_ip: null, started_at: null, metrics: NO_METRICS }),
  ]);
  assert.deepEqual(cells(row), ['web', '-', '1', '128M', '-', 'not started', '-', '-', '-', '-', '0']);
});

test('short values fit a terminal of 80 columns', () => {
  const lines = render([makeService(), makeService({ name: 'db', isolation: 'none', restarts: 12 })], 80);
  assert.equal(lines.length, 7);
  assert.ok(Math.max(...lines.map((line) => line.length)) <= 80, lines.join('\n'));
});

test('in a narrow terminal a long status is wrapped instead of the line', () => {
  const unhealthy = { health: 'unhealthy', health_detail: 'status 503' } as const;
  const web = makeService({ isolation: 'none', group_ip: null, pid: 1_234_567, ...unhealthy });
  const lines = render([web, { ...web, name: 'stubborn' }], 80);
  assert.ok(Math.max(...lines.slice(0, 5).map((line) => line.length)) <= 80, lines.join('\n'));
  assert.match(lines[1]!, /^web .* running +.* 0$/);
  assert.match(lines[2]!, /^ +\(unhealthy\)\*$/);
});

test('a table that is still too wide leaves out the restarts, which the remarks count', () => {
  const web = makeService({
    ...{ name: 'stubborn', pid: 1_234_567, health: 'unhealthy', health_detail: 'status 503' },
    ...{ restarts: 2, last_restart_reason: 'exit code 3' },
  });
  const lines = render([web], 80);
  assert.ok(Math.max(...lines.slice(0, 3).map((line) => line.length)) <= 80, lines.join('\n'));
  assert.equal(lines.at(-1), 'stubborn: restarted 2 times; last reason: exit code 3');
});

test('a service that ended shows its exit code or signal, and no age', () => {
  const ended = { status: 'Stopped', pid: null } as const;
  const killed = makeService({ ...ended, started_at: '2026-11-23T08:00:00.000Z', ended_by: 'vm_sigkill' });
  assert.deepEqual(
    render([
      makeService({ ...ended, exit_code: 3 }),
      makeService({ ...ended, signal: 'SIGKILL' }),
      killed,
      makeService(ended),
    ])
      .slice(1)
      .map((line) => [cells(line)[5], cells(line)[9]]),
    [
      ['exited (3)', '-'],
      ['exited (SIGKILL)', '-'],
      ['exited (SIGKILL)', '-'],
      ['stopped', '-'],
    ],
  );
});

test('the error of a failed service stands beneath the table', () => {
  const lines = render([makeService({ status: 'Failed', error: 'the guest did not boot in 60 s' }), makeService()]);
  assert.deepEqual(lines.slice(3), ['', 'web: the guest did not boot in 60 s']);
});

test('a service that waits for its restart shows when it is due and why', () => {
  const waiting = makeService({
    ...{ status: 'Starting', pid: null, exit_code: 3, restarts: 4, last_restart_reason: 'exit code 3' },
    restarts_at: '2026-11-23T08:03:13.000Z',
  });
  const lines = render([waiting]);
  assert.equal(cells(lines[1])[5], 'restarting');
  assert.deepEqual(lines.slice(2), ['', 'web: restart 4 is due in 8s; last reason: exit code 3']);
});

test('health is part of the status, and its problems stand below the table', () => {
  const lines = render([
    makeService({ health: 'healthy', health_detail: 'connected' }),
    makeService({ name: 'db', health: 'unhealthy', health_detail: 'connection refused' }),
    makeService({
      name: 'cron',
      notes: ['cpu_shares has no effect'],
      log_stalled: 'stdout: ENOSPC',
      restarts: 1,
      last_restart_reason: 'exit code 3',
    }),
  ]);
  assert.deepEqual([cells(lines[1])[5], cells(lines[2])[5]], ['running (healthy)', 'running (unhealthy)']);
  assert.deepEqual(lines.slice(4), [
    '',
    'db: unhealthy: connection refused',
    'cron: its output cannot be written: stdout: ENOSPC',
    'cron: restarted once; last reason: exit code 3',
    'cron: cpu_shares has no effect',
  ]);
});

test('a service that ran out of memory shows the last lines of its VM', () => {
  const ended = { status: 'Stopped', pid: null, exit_code: 137, reason: 'out-of-memory' } as const;
  const lines = render([makeService({ ...ended, last_lines: ['one', 'two', 'three', 'four', 'five', 'six\x1b[2J'] })]);
  assert.equal(cells(lines[1])[5], 'exited (out of memory)');
  assert.equal(lines[3], 'web: the guest ran out of memory and killed its command');
  assert.deepEqual(lines.slice(4), ['    two', '    three', '    four', '    five', '    six\uFFFD[2J']);
});

test('a service without VM is marked, shows no size of a VM, and the mark is explained', () => {
  const lines = render([makeService({ isolation: 'none' })]);
  assert.deepEqual(cells(lines[1]).slice(2, 6), ['-', '-', '12345', 'running*']);
  assert.match(lines.at(-1)!, /^\* .*isolation = "none"/);
});

test('without services the table is only its head', () => {
  assert.equal(render([]).length, 1);
});

test('colours do not move the columns', () => {
  const services = [makeService(), makeService({ name: 'database', status: 'Failed', error: 'no' })];
  const colors = pc.createColors(true);
  const painted = renderStatusTable(services, { colors, now: NOW, columns: 80 });
  assert.ok(painted.includes(colors.green('running')));
  assert.ok(painted.includes(colors.red('failed')));
  const plain = stripVTControlCharacters(painted);
  assert.equal(plain, renderStatusTable(services, { colors: NO_COLORS, now: NOW, columns: 80 }));
});

test('a log that cannot be written is reported below the table, with the reason', () => {
  const log_stalled = 'stdout: ENOSPC: no space left on device, write';
  const lines = render([makeService({ name: 'db' }), makeService({ log_stalled })]);
  assert.deepEqual(lines.slice(3), ['', `web: its output cannot be written: ${log_stalled}`]);
});

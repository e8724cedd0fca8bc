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
  const [head, row, ...rest] = render([
    makeService({
      ports: [
        { address: '127.0.0.2', host: 8080, guest: 80, protocol: 'tcp' },
        { address: '127.0.0.2', host: 53, guest: 53, protocol: 'udp' },
      ],
    }),
  ]);
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
    'Ports',
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
    '127.0.0.2:8080->80, 127.0.0.2:53->53/udp',
  ]);
  assert.deepEqual(rest, []);
});

test('unknown values are dashes', () => {
  const [, row] = render([
    makeService({ group: null, status: 'Unstarted', pid: null, group_ip: null, started_at: null, metrics: NO_METRICS }),
  ]);
  assert.deepEqual(cells(row), ['web', '-', '1', '128M', '-', 'not started', '-', '-', '-', '-', '0', '-']);
});

test('short values fit a terminal of 80 columns', () => {
  const lines = render([makeService(), makeService({ name: 'db', isolation: 'none', restarts: 12 })], 80);
  assert.equal(lines.length, 7);
  assert.ok(Math.max(...lines.map((line) => line.length)) <= 80, lines.join('\n'));
});

test('a narrow terminal leaves out columns, and keeps the name, the status and the ports', () => {
  const web = makeService({
    ...{ name: 'stubborn', pid: 1_234_567, health: 'unhealthy', health_detail: 'status 503' },
    ports: [{ address: '127.0.0.2', host: 8080, guest: 80, protocol: 'tcp' }],
  });
  const heads = [120, 100, 80, 60, 50].map((columns) => {
    const lines = render([web, makeService()], columns);
    assert.ok(Math.max(...lines.slice(0, 3).map((line) => line.length)) <= columns, lines.join('\n'));
    assert.equal(lines.length, 5, 'no cell is wrapped');
    return lines[0]!.trim().split(/ +/);
  });
  assert.deepEqual(heads[0]?.slice(-4), ['Memory', 'Uptime', 'Restarts', 'Ports']);
  for (const head of heads.slice(1)) assert.ok(head.includes('Status') && head.includes('Ports'), head.join());
  assert.deepEqual(heads.at(-1), ['Service', 'Status', 'Ports']);
});

test('cells are wrapped where no more columns can be left out', () => {
  const lines = render([makeService({ health: 'unhealthy' })], 28);
  assert.ok(Math.max(...lines.slice(0, 3).map((line) => line.length)) <= 28, lines.join('\n'));
});

test('the project is a column where there is more than one', () => {
  const web = makeService({ project: { name: 'shop', folder: '/srv/shop' } });
  const demo = makeService({ name: 'site', project: { name: 'demo', folder: '/opt/demo' } });
  assert.equal(cells(render([web])[0])[1], 'Group');
  assert.deepEqual(
    render([web, demo, makeService()]).map((line) => cells(line)[1]),
    ['Project', 'shop', 'demo', '-'],
  );
  // Of one name, but in two places.
  const other = makeService({ project: { name: 'shop', folder: '/home/shop' } });
  assert.equal(cells(render([web, other])[0])[1], 'Project');
});

test('services of other projects are counted below the table, and those that no config declares are named', () => {
  const lines = renderStatusTable([makeService({ name: 'web-3', undeclared: true })], {
    ...{ colors: NO_COLORS, now: NOW, columns: 80 },
    otherServices: 2,
  });
  assert.match(lines, /\n\nweb-3: no longer in the config; .*monocore remove web-3\n/);
  assert.match(lines, /\n\n2 services of other projects; to see all: monocore status --all\n$/);
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

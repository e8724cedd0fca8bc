/**
 * Features of monocore's Rust supervisor without its faults, in the order of its source: create, start, stdout and stderr,
 * rotation, metrics, stop, end, save and load. In plain processes where a VM would show nothing else.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Service, ServiceStatus } from '../../../src/protocol/service.ts';
import { loadState, saveState } from '../../../src/state/store.ts';
import { Supervisor } from '../../../src/supervisor/supervisor.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const RECORD = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|ERROR) \[([^\]]+)\] (.*)$/;

describe('the original', () => {
  let host: TestRuntime;
  before(async () => {
    host = await openTestRuntime();
  });
  after(() => host.close());

  const group = { name: 'shop', address: null, local_only: true };
  const supervise = (service: Service): Supervisor =>
    new Supervisor({ service: { ...service, group: 'shop' }, group, groupIp: '127.0.0.9', kernel: null }, host.runtime);
  const plain = (name: string, script: string, overrides: Partial<Service> = {}): Supervisor =>
    supervise(scriptService(name, script, { isolation: 'none', ...overrides }));
  const stateFile = (name: string): string => join(host.home, 'run', `${name}.json`);
  const readState = (name: string) => JSON.parse(readFileSync(stateFile(name), 'utf8'));
  const mode = (...path: string[]): number => statSync(join(host.home, ...path)).mode & 0o777;

  it('1: is created with service, group, group IP and root; the log folder is 0755, others 0700, log files 0644', async () => {
    const supervisor = plain('created', 'exec sleep 1000');
    assert.equal(supervisor.status().status, 'Unstarted');
    await supervisor.start();
    const state = readState('created');
    assert.equal(state.service.name, 'created');
    assert.equal(state.group.name, 'shop');
    assert.equal(state.group_ip, '127.0.0.9');
    assert.equal(state.rootfs_path, null);
    assert.deepEqual([mode('log'), mode('run'), mode('run', 'created')], [0o755, 0o700, 0o700]);
    const files = readdirSync(join(host.home, 'log')).filter((name) => /^created\.\w+\.\d+\.log$/.test(name));
    assert.deepEqual(files, ['created.stderr.000001.log', 'created.stdout.000001.log']);
    for (const file of files) assert.equal(mode('log', file), 0o644);
    await supervisor.stop();
  });

  it('2: saves Starting before the process exists, its pid and Started after, Failed when it cannot start', async () => {
    // The command itself looks at the state file as it was when the command was spawned, or a moment later.
    const supervisor = plain('saved', `cat ${stateFile('saved')}; exec sleep 1000`);
    await supervisor.start();
    const seen = await eventually('the copy of the state file', () => {
      const text = host.lines('saved', 'stdout').join('\n');
      return text.endsWith('}') && JSON.parse(text);
    });
    assert.match(seen.status, /^Start(ing|ed)$/);
    const { status, pid } = readState('saved');
    assert.equal(status, 'Started');
    // What it printed is there a moment before it has become the next program.
    await eventually('the command', () => /sleep|coreutils|busybox/.test(readlinkSync(`/proc/${pid}/exe`)));
    await supervisor.stop();

    const failing = supervise({ ...scriptService('failing', '', { isolation: 'none' }), command: 'no-such-command' });
    await assert.rejects(failing.start(), { code: 'StartFailed', message: /command not found: no-such-command/ });
    assert.equal(failing.status().status, 'Failed');
    const ended = await loadState(join(host.home, 'ended', 'failing.json'));
    assert.match((ended.status as { Failed: { error: string } }).Failed.error, /command not found/);
  });

  it('3: appends stdout lines as INFO and stderr lines as ERROR to files of their own', async () => {
    for (const word of ['first', 'second']) {
      const supervisor = plain('lines', `echo ${word}; echo ${word} error >&2`);
      await supervisor.start();
      await supervisor.ended();
    }
    const records = (stream: string): string[][] =>
      readFileSync(join(host.home, 'log', `lines.${stream}.log`), 'utf8')
        .split('\n')
        .slice(0, -1)
        .map((record) => RECORD.exec(record)!.slice(1));
    assert.deepEqual(records('stdout'), [
      ['INFO', 'lines', 'first'],
      ['INFO', 'lines', 'second'],
    ]);
    assert.deepEqual(records('stderr'), [
      ['ERROR', 'lines', 'first error'],
      ['ERROR', 'lines', 'second error'],
    ]);
  });

  it('4: rolls at 10 MB into numbered files, of which none is renamed and no line is lost', async () => {
    const supervisor = plain('rolling', `i=0; while [ $i -lt 250 ]; do i=$((i+1)); seq -f "$i %01000g" 100; done`);
    await supervisor.start();
    await supervisor.ended();
    const files = readdirSync(join(host.home, 'log')).filter((name) => /^rolling\.stdout\.\d+\.log$/.test(name));
    assert.deepEqual(files, ['rolling.stdout.000001.log', 'rolling.stdout.000002.log', 'rolling.stdout.000003.log']);
    const texts = files.sort().map((file) => readFileSync(join(host.home, 'log', file), 'utf8'));
    for (const text of texts.slice(0, -1)) {
      assert.ok(text.length >= 10 * 2 ** 20 && text.length < 10 * 2 ** 20 + 1100, `${text.length} bytes`);
    }
    const lines = texts.join('').split('\n').slice(0, -1);
    assert.equal(lines.length, 25_000);
    assert.match(lines.at(-1)!, / 250 0*100$/);
    assert.equal(readlinkSync(join(host.home, 'log/rolling.stdout.log')), 'rolling.stdout.000003.log');
  });

  it('5: samples cpu, memory and disk every 2 s into the state file', async (t) => {
    // On the disk of the checkout: what goes to a tmpfs is not counted.
    const dir = await makeTempDir(t, process.cwd());
    const script = `while :; do dd if=/dev/zero of=${dir}/data bs=1M count=8 conv=fsync 2>/dev/null; done`;
    const supervisor = plain('measured', script);
    await supervisor.start();
    const metrics = await eventually('a second sample with disk bytes', () => {
      const sample = readState('measured').metrics;
      return sample.cpu_usage !== null && sample.memory_usage > 0 && 'disk_write_bytes' in sample && sample;
    });
    for (const key of ['cpu_usage', 'memory_usage', 'disk_read_bytes', 'disk_write_bytes'] as const) {
      assert.equal(typeof metrics[key], 'number', key);
    }
    assert.equal(typeof metrics.total_disk_read_bytes, 'number');
    assert.equal(typeof metrics.total_disk_write_bytes, 'number');
    const first = readState('measured').modified_at;
    await eventually('the next sample', () => readState('measured').modified_at !== first);
    await supervisor.stop();
  });

  it('6: on a stop saves Stopping, ends the process, removes the state file and keeps the real exit code', async () => {
    const ready = join(host.home, 'ready');
    const script = `trap 'cat ${stateFile('stopped')}; exit 6' TERM; : >${ready}; while :; do sleep 0.1; done`;
    const supervisor = plain('stopped', script);
    await supervisor.start();
    await eventually('its trap', () => existsSync(ready));
    const { status, exit_code } = await supervisor.stop();
    assert.deepEqual([status, exit_code], ['Stopped', 6]);
    assert.match(host.lines('stopped', 'stdout').join('\n'), /"status": "Stopping"/);
    assert.equal(existsSync(stateFile('stopped')), false);
    assert.equal(existsSync(join(host.home, 'run', 'stopped')), false);
    assert.deepEqual((await loadState(join(host.home, 'ended', 'stopped.json'))).status, { Stopped: { exit_code: 6 } });
  });

  it('7: when the command ends by itself, reads its streams to the end, cleans up and records the exit', async () => {
    const supervisor = plain('ending', 'seq 100000; exit 9');
    await supervisor.start();
    assert.equal((await supervisor.ended()).exit_code, 9);
    assert.equal(host.lines('ending', 'stdout').at(-1), '100000');
    assert.equal(existsSync(stateFile('ending')), false);
    assert.ok(host.reports.includes('ending: ended with exit code 9'));
  });

  it('8: saves and loads the state, valid at every instant', async () => {
    const supervisor = plain('stored', 'exec sleep 1000');
    await supervisor.start();
    const document = await loadState(stateFile('stored'));
    const path = join(mkdtempSync(join(host.home, 'copy-')), 'stored.json');
    let saving = true;
    const writer = (async () => {
      for (let round = 0; round < 200; round++) {
        await saveState(path, { ...document, restarts: round, rootfs_path: '/'.repeat(round * 50) }, false);
      }
      saving = false;
    })();
    await eventually('the first copy', () => existsSync(path));
    let reads = 0;
    while (saving) {
      assert.equal((await loadState(path)).service.name, 'stored');
      reads += 1;
    }
    await writer;
    assert.ok(reads > 10, `${reads} reads`);
    await supervisor.stop();
  });

  describe('had faults that are absent', () => {
    it('no tail is lost at the exit of a guest', async () => {
      const supervisor = supervise(scriptService('tail', 'seq 20000; printf "the very last"; exit 4'));
      await supervisor.start();
      assert.equal((await supervisor.ended()).exit_code, 4);
      const lines = host.lines('tail', 'stdout');
      assert.equal(lines.length, 20_001);
      assert.deepEqual(lines.slice(-2), ['20000', 'the very last']);
    });

    it('invalid UTF-8 does not end the capture', async () => {
      const supervisor = plain('utf8', `printf 'before\\n\\377\\376 bytes\\nafter\\n'`);
      await supervisor.start();
      await supervisor.ended();
      const bytes = readFileSync(join(host.home, 'log/utf8.stdout.log'));
      assert.ok(bytes.includes(Buffer.from([0xff, 0xfe, 0x20])));
      assert.equal(host.lines('utf8', 'stdout').at(-1), 'after');
    });

    it('a line of 191 MiB is captured whole', async () => {
      const supervisor = plain('endless', `head -c 200000000 /dev/zero | tr '\\0' x`);
      await supervisor.start();
      await supervisor.ended();
      const files = readdirSync(join(host.home, 'log')).filter((name) => /^endless\.stdout\.\d+\.log$/.test(name));
      const sizes = files.map((name) => statSync(join(host.home, 'log', name)).size);
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) > 200_000_000);
    });

    it('the exit code is not always 0', async () => {
      const codes = await Promise.all(
        [0, 1, 255].map(async (code): Promise<ServiceStatus['exit_code']> => {
          const supervisor = plain(`code-${code}`, `exit ${code}`);
          await supervisor.start();
          return (await supervisor.ended()).exit_code;
        }),
      );
      assert.deepEqual(codes, [0, 1, 255]);
    });

    it('a state file is never torn by a stop in the middle of samples', async () => {
      const supervisor = plain('torn', 'exec sleep 1000');
      await supervisor.start();
      for (let round = 0; round < 100; round++) {
        host.runtime.store.saveSoon(await loadState(stateFile('torn')));
        assert.equal(readState('torn').pid, supervisor.status().pid);
      }
      await supervisor.stop();
      assert.equal(existsSync(stateFile('torn')), false);
    });

    it('no variable of a service is visible in ps, nor its state readable by others', async () => {
      const supervisor = plain('secret', 'exec sleep 1000', { envs: { PASSWORD: 'hunter2-secret' } });
      await supervisor.start();
      assert.deepEqual(findProcesses('hunter2-secret'), []);
      assert.equal(mode('run', 'secret.json'), 0o600);
      await supervisor.stop();
      assert.equal(mode('ended', 'secret.json'), 0o600);
    });
  });
});

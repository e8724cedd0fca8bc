/** Wrong input and hosts that lack something: a clear error, an exit code, nothing half-started. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { eventually } from '../../helpers/eventually.ts';
import { builtBin, makeTestHome, shareKernel } from '../../helpers/home.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

const VALID = `
[[service]]
name = "one"
isolation = "none"
command = "sleep"
args = ["1000"]
`;

/** A stack trace or an internal name is no message for a user. */
function assertClear(stderr: string): void {
  assert.doesNotMatch(stderr, /\n\s+at |node:internal|ERR_/);
  assert.match(stderr, /^monocore: /m);
}

describe('bad input', () => {
  it('in the config: every problem with its place, exit code 2, and no daemon', async (t) => {
    const home = await makeTestHome(t);
    const file = join(home.dir, 'monocore.toml');
    writeFileSync(file, '[[service]]\nname = "Bad Name"\ncomand = "true"\nram = "1 MiB"\n\n[[service]]\nname = 3\n');
    const { code, stderr } = await home.run(['start', '-f', file]);
    assert.equal(code, 2);
    assertClear(stderr);
    for (const place of [
      '2:8: service[0].name',
      '3:1: service[0].comand',
      '4:7: service[0].ram',
      '7:8: service[1].name',
    ]) {
      assert.ok(stderr.includes(`monocore.toml:${place}`), `${place} in\n${stderr}`);
    }
    assert.match(stderr, /did you mean "?command"?/);
    assert.equal(existsSync(join(home.dir, 'daemon.sock')), false);
  });

  it('a missing QEMU names the package, and no host process runs in the place of the VM', async (t) => {
    const home = await makeTestHome(t);
    const file = join(home.dir, 'monocore.toml');
    // A time that no other process of this host sleeps.
    writeFileSync(file, VALID.replace('isolation = "none"\n', '').replace('1000', '1000.0625'));
    const { code, stdout, stderr } = await home.run(['start', '-f', file], { PATH: home.dir });
    assert.equal(code, 1);
    assert.match(stdout + stderr, /qemu-system-\S+ is not installed; install the package qemu-system-/);
    assert.deepEqual(findProcesses('sleep 1000.0625 '), []);
    assert.deepEqual(readdirSync(join(home.dir, 'run')), []);
  });

  it('no character of the home is in the way of a VM', async (t) => {
    const dir = join(await makeTempDir(t), `a :?*"'<>|%25,#b`);
    mkdirSync(dir);
    shareKernel(dir);
    const home = await makeTestHome(t, dir);
    const file = join(dir, 'monocore.toml');
    writeFileSync(file, VALID.replace('isolation = "none"\n', 'disk = "64MiB"\n'));
    await home.ok('start', '-f', file);
    assert.equal((await home.status('one')).status, 'Started');
    assert.match(readFileSync(join(dir, 'log/monocore.1.log'), 'utf8'), /"msg":"one: Started"/);
  });

  it('a home that is too long for a unix socket', async (t) => {
    const home = await makeTestHome(t, join(await makeTempDir(t), 'long'.repeat(40)));
    const file = join(await makeTempDir(t), 'monocore.toml');
    writeFileSync(file, VALID);
    const { code, stderr } = await home.run(['start', '-f', file]);
    assert.notEqual(code, 0);
    assertClear(stderr);
    assert.match(stderr, /is too long: a unix socket's path has at most 107 bytes/);
  });

  it('a home that cannot be written', async (t) => {
    const dir = await makeTempDir(t);
    writeFileSync(join(dir, 'file'), '');
    const file = join(dir, 'monocore.toml');
    writeFileSync(file, VALID);
    const { code, stderr } = await (await makeTestHome(t, join(dir, 'file', 'home'))).run(['start', '-f', file]);
    assert.equal(code, 3);
    assertClear(stderr);
    assert.match(stderr, /cannot be created: .* \(ENOTDIR\); choose another with --home or MONOCORE_HOME/);
  });

  it('a full disk', async (t) => {
    const dir = await makeTempDir(t);
    const disk = join(dir, 'disk');
    mkdirSync(disk);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status, 0);
    defer(t, () => spawnSync('umount', [disk]));
    const file = join(dir, 'monocore.toml');
    writeFileSync(file, VALID);
    assert.throws(() => writeFileSync(join(disk, 'ballast'), Buffer.alloc(128 * 1024)), /ENOSPC/);
    const { code, stderr } = await (await makeTestHome(t, join(disk, 'home'))).run(['start', '-f', file]);
    assert.equal(code, 1);
    assertClear(stderr);
    assert.match(stderr, /one could not be started: .*ENOSPC: no space left on device/);
  });

  it('neither PATH nor a folder for temporary files is needed', async (t) => {
    const home = await makeTestHome(t);
    const file = join(home.dir, 'monocore.toml');
    writeFileSync(file, VALID);
    const { code, stderr } = await home.run(['start', '-f', file], { PATH: undefined, TMPDIR: '/nonexistent' });
    assert.equal(code, 0, stderr);
    assert.equal((await home.status('one')).status, 'Started');
  });

  it('a current folder that was deleted is named as the reason', async (t) => {
    const gone = join(await makeTempDir(t), 'gone');
    mkdirSync(gone);
    const script = 'cd "$1" && rmdir "$1" && shift && exec "$@"';
    const command = ['-c', script, 'sh', gone, process.execPath, builtBin, 'init'];
    const { status, stderr } = spawnSync('sh', command, { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /^monocore: the current folder was deleted; change to another one/);
  });

  it('a limit on the size of files ends neither the daemon nor its services', async (t) => {
    const home = await makeTestHome(t);
    const file = join(home.dir, 'monocore.toml');
    const script = 'args = ["-c", "seq 1 20000; echo done >&2; exec sleep 1000"]';
    const services = Object.entries({ one: 'drop', blocked: 'block' }).map(
      ([name, onFull]) => `[[service]]
name = "${name}"
isolation = "none"
command = "/bin/sh"
${script}
log = { on_full = "${onFull}" }
`,
    );
    writeFileSync(file, services.join(''));
    const command = ['-c', 'ulimit -f 128; exec "$@"', 'sh', process.execPath, builtBin, 'start', '-f', file];
    const { status } = spawnSync('sh', command, { env: { ...process.env, MONOCORE_HOME: home.dir } });
    assert.equal(status, 0);
    await eventually('all of its output', () => home.lines('one', 'stderr').includes('done'));
    const { status: state, pid } = await home.status('one');
    assert.equal(state, 'Started');
    assert.match(
      readFileSync(join(home.dir, 'log/monocore.1.log'), 'utf8'),
      /(one|blocked): its stdout cannot be written: file too large/,
    );
    await home.ok('stop', 'one');
    assert.ok(!existsSync(`/proc/${pid}`));
    // Its output waits for space that never comes.
    const { pid: blocked } = await home.status('blocked');
    await home.ok('daemon', 'stop');
    assert.ok(!existsSync(`/proc/${blocked}`));
  });
});

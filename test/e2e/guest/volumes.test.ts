/** Volumes in real guests: what they see of the host, what the host sees of them, and what they cannot do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import type { Volume } from '../../../src/protocol/service.ts';
import { findVirtiofsd } from '../../../src/vm/host/host-tools.ts';
import { identifyVirtiofsd } from '../../../src/vm/host/virtiofsd.ts';
import { makeRoot } from '../../helpers/disks/guest-root.ts';
import { mountSmallDisk } from '../../helpers/disks/small-disk.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';
import { type Guest, makeGuestHost } from '../../helpers/vm/guest.ts';

const rw = (host: string, guest: string): Volume => ({ host, guest, read_only: false });
const ro = (host: string, guest: string): Volume => ({ host, guest, read_only: true });

/** Says `ok` or `not ok` for each line `<what> | <command>`, and why. */
const CHECKER = `
  check() { if sh -c "$2" >/tmp/out 2>&1; then echo "ok: $1"; else echo "not ok: $1: $(cat /tmp/out)"; fi; }
  refuse() { if sh -c "$2" >/tmp/out 2>&1; then echo "not ok: $1"; else echo "ok: $1"; fi; }
  await() { until sh -c "$1" 2>/dev/null; do sleep 0.02; done; }
`;

/** Reads all of a guest's streams; `said` resolves when it has printed that line. */
function listen(guest: Guest) {
  const stdout = guest.read('stdout');
  const streams = [guest.read('stderr'), guest.read('console')];
  return {
    said: (line: string) =>
      eventually(`the guest to say ${line}`, () => stdout.endsWith(`${line}\n`), 60_000).catch(
        async (error: unknown) => {
          guest.vm.kill('SIGKILL');
          const printed = await Promise.all([stdout, ...streams].map(({ ended }) => ended));
          throw new Error(`${error}: ${printed.join('\n')}`);
        },
      ),
    lines: async () => (await stdout.ended).toString().trimEnd().split('\n'),
  };
}

/** Waits for the command's end, ends the guest, and returns what it printed. */
async function finish(guest: Guest, lines: () => Promise<string[]>): Promise<string[]> {
  await guest.event('job-exited');
  guest.vm.release();
  await guest.event('process-ended');
  return lines();
}

const cgroupsOf = (pid: number) => readFileSync(`/proc/${pid}/cgroup`, 'utf8');

async function assertNothingIsLeft(home: string): Promise<void> {
  await eventually('virtiofsd to end', () => findProcesses(home).length === 0);
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(home), 'the host’s mounts are as they were');
}

/** Folders of the host: `out/` is shared with nobody. */
async function makeFolders(t: TestContext) {
  const dir = join(await makeTempDir(t), "it's a,b\\:c");
  for (const name of ['data', 'fixed', 'out']) mkdirSync(join(dir, name), { recursive: true });
  writeFileSync(join(dir, 'data/greeting'), 'from the host\n');
  writeFileSync(join(dir, 'fixed/greeting'), 'not to be changed\n');
  writeFileSync(join(dir, 'out/secret'), 'of the host\n');
  writeFileSync(join(dir, 'settings'), 'one\n');
  writeFileSync(join(dir, 'fixed-settings'), 'fixed\n');
  symlinkSync(join(dir, 'out'), join(dir, 'data/absolute'));
  symlinkSync('../out', join(dir, 'data/relative'));
  return dir;
}

it('a guest and its host see each other’s changes of a volume, and the guest cannot leave it', async (t) => {
  const dir = await makeFolders(t);
  const script = `${CHECKER}
    check 'a directory in a folder that was missing' 'grep -q "from the host" /srv/deep/data/greeting'
    check 'a file' 'grep -q one /etc/app/settings'
    check 'it writes' 'echo guest >/srv/deep/data/new && mkdir /srv/deep/data/sub && mv /srv/deep/data/new /srv/deep/data/sub'
    check 'it writes to a file' 'echo two >/etc/app/settings'
    check 'owners and modes' 'chown 1234:4321 /srv/deep/data/sub && chmod 0750 /srv/deep/data/sub'
    check 'shared mappings work' 'dd if=/dev/zero of=/srv/deep/data/big bs=65536 count=16'
    refuse 'an absolute link of the host leads out' 'cat /srv/deep/data/absolute/secret'
    refuse 'a relative link of the host leads out' 'cat /srv/deep/data/relative/secret'
    refuse 'a link of the guest leads out' 'ln -s "$OUT" /srv/deep/data/mine && cat /srv/deep/data/mine'
    refuse 'the parent is the host’s' 'cat /srv/deep/data/../out/secret'
    refuse 'a device node is made' 'mknod /srv/deep/data/node b 254 0'
    refuse 'a read-only directory is written' 'echo x >/fixed/greeting'
    refuse 'a read-only file is written' 'echo x >/etc/fixed'
    refuse 'the share is seen twice' 'ls /run/share/0'
    check 'it remounts, for itself' 'mount -o remount,bind,rw none /fixed && mount -o remount,bind,rw none /etc/fixed'
    refuse 'a remounted directory is written' 'echo x >/fixed/greeting'
    refuse 'a remounted directory gets a file' 'echo x >/fixed/new'
    refuse 'a remounted directory loses a file' 'rm /fixed/greeting'
    refuse 'a remounted file is written' 'echo x >/etc/fixed'
    mkdir /srv/deep/data/walked && cd /srv/deep/data/walked
    echo changed
    await 'grep -qx "from the host again, and longer" /srv/deep/data/greeting'
    await '[ "$(cat /srv/deep/data/fresh/file)" = fresh ]'
    await '! [ -e /srv/deep/data/sub ]'
    await 'grep -q three /etc/app/settings'
    refuse 'it stands in a folder that the host has moved out, and looks around' 'cat ../secret || cat ../../secret'
    cd /
    echo seen
    await '[ "$(cat /srv/deep/data/renamed)" = fresh ]'
    [ -s /srv/deep/data/growing ] || echo looked
    until [ -e /srv/deep/data/marker ]; do [ -s /srv/deep/data/growing ]; [ -e /srv/deep/data/renamed ]; done
    if [ -s /srv/deep/data/growing ] && ! [ -e /srv/deep/data/renamed ]; then echo at once; else echo later; fi
    check 'it lets go of its volumes' 'umount /srv/deep/data /fixed /etc/app/settings /etc/fixed'
    check 'it mounts all of the share again' 'mkdir /all && mount -t virtiofs share /all && ls /all/0 /all/1'
    refuse 'it is written as a whole' 'echo x >/all/new'
    refuse 'it is written where it is read-only' 'echo x >/all/1/new || chmod 0777 /all/1 || touch /all/3'
    refuse 'it leads out' 'cat /all/../out/secret || cat /all/0/../../out/secret || cat "/all$OUT"'
    echo end`;
  const host = await makeGuestHost(t);
  const volumes = [
    rw(join(dir, 'data'), '/srv/deep/data'),
    ro(join(dir, 'fixed'), '/fixed'),
    rw(join(dir, 'settings'), '/etc/app/settings'),
    ro(join(dir, 'fixed-settings'), '/etc/fixed'),
  ];
  const envs = { OUT: join(dir, 'out/secret') };
  const guest = await host.launch(scriptService('voluminous', script, { volumes, envs }));
  const { said, lines } = listen(guest);
  await said('changed');
  assert.equal(readFileSync(join(dir, 'data/sub/new'), 'utf8'), 'guest\n');
  const { uid, gid, mode } = statSync(join(dir, 'data/sub'));
  assert.deepEqual([uid, gid, mode & 0o7777], [1234, 4321, 0o750]);
  assert.equal(readFileSync(join(dir, 'settings'), 'utf8'), 'two\n');
  assert.equal(statSync(join(dir, 'data/big')).size, 2 ** 20);

  writeFileSync(join(dir, 'data/greeting'), 'from the host again, and longer\n');
  renameSync(join(dir, 'data/walked'), join(dir, 'out/walked'));
  mkdirSync(join(dir, 'data/fresh'));
  writeFileSync(join(dir, 'data/fresh/file'), 'fresh\n');
  rmSync(join(dir, 'data/sub'), { recursive: true });
  writeFileSync(join(dir, 'settings'), 'three\n');
  await said('seen');
  writeFileSync(join(dir, 'data/growing'), '');
  renameSync(join(dir, 'data/fresh/file'), join(dir, 'data/renamed'));
  await said('looked');
  writeFileSync(join(dir, 'data/growing'), 'text');
  rmSync(join(dir, 'data/renamed'));
  writeFileSync(join(dir, 'data/marker'), '');
  const printed = await finish(guest, lines);
  const isC = (await identifyVirtiofsd(findVirtiofsd())) === 'c';
  assert.deepEqual(
    printed.filter((line) => !line.startsWith('ok: ')),
    // The one in Rust lets the guest take what it has seen for good for a second.
    ['changed', 'seen', 'looked', isC ? 'at once' : printed.find((line) => /^(at once|later)$/.test(line)), 'end'],
  );
  assert.deepEqual(readdirSync(join(dir, 'fixed')), ['greeting']);
  assert.equal(readFileSync(join(dir, 'fixed/greeting'), 'utf8'), 'not to be changed\n');
  assert.equal(readFileSync(join(dir, 'fixed-settings'), 'utf8'), 'fixed\n');
  assert.ok(!existsSync(join(dir, 'data/node')));
  assert.deepEqual(readdirSync(join(dir, 'out')).sort(), ['secret', 'walked']);
  await assertNothingIsLeft(host.paths.home);
});

it('volumes lie above a shared root and a disk, each is a file system of its own, and one that goes leaves the others', async (t) => {
  const dir = await makeFolders(t);
  const root = join(dir, 'root');
  mkdirSync(join(root, 'srv'), { recursive: true });
  makeRoot(root, ['sh', 'cat', 'grep', 'mkdir', 'mount', 'sleep', 'stat', 'umount']);
  // Where this leads is below the guest's root, not the host's or the init's.
  symlinkSync('/srv', join(root, 'link'));
  // Two file systems with the same inode numbers, and one on a folder of a volume.
  const twins = [await mountSmallDisk(t), await mountSmallDisk(t)];
  for (const twin of twins) writeFileSync(join(twin, 'twin'), twin);
  mkdirSync(join(dir, 'data/below'));
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(dir, 'data/below')]);
  defer(t, () => execFileSync('umount', ['--lazy', join(dir, 'data/below')]));
  writeFileSync(join(dir, 'data/below/file'), 'on another file system');
  symlinkSync('data', join(dir, 'link-to-data'));
  const script = `${CHECKER}
    check 'its root is there' '[ -d /srv ]'
    check 'a volume behind a link of the root' 'grep -q "from the host" /srv/data/greeting'
    refuse 'a file system below a volume is shared' '[ -e /srv/data/below/file ]'
    check 'twins are told apart' '[ "$(stat -c %i /a/twin)" = "$(stat -c %i /b/twin)" ] && [ "$(stat -c %d /a/twin)" != "$(stat -c %d /b/twin)" ]'
    check 'the root is written above the host’s' 'echo x >/srv/own && echo x >/bin/own'
    mkdir /all && mount -t virtiofs share /all
    sh -c 'echo x >/all/new; echo x >/all/root/new; mount -o remount,rw /all; echo x >/all/bin/new' 2>/dev/null
    umount /all
    echo ready
    await 'grep -q renamed /srv/data/greeting'
    check 'a file that was replaced is the old one' 'grep -q one /etc/settings'
    refuse 'a folder that was removed is there' 'mkdir /b/gone/folder || ls /b/gone/file'
    check 'the others are there' 'echo still >/srv/data/still && [ -e /a/twin ]'
    echo end
    sleep 1000`;
  const host = await makeGuestHost(t);
  const volumes = [
    rw(join(dir, 'link-to-data'), '/link/data'),
    ro(twins[0]!, '/a'),
    rw(twins[1]!, '/b'),
    ro(join(dir, 'settings'), '/etc/settings'),
    rw(join(dir, 'out'), '/b/gone'),
  ];
  const service = scriptService('rooted', script, { volumes, rootfs: root, disk_mib: 16 });
  const guest = await host.launch(service);
  const { said, lines } = listen(guest);
  assert.deepEqual(guest.notes.slice(-1), [
    `the volume ${join(dir, 'link-to-data')} leads to ${join(dir, 'data')} through a symbolic link`,
  ]);
  await said('ready');
  const sharers = findProcesses(host.paths.vm('rooted').share).filter(({ commandLine }) =>
    commandLine.includes('virtiofsd'),
  );
  assert.ok(sharers.length > 0);
  for (const { pid } of sharers) {
    // The tree, the root and the volumes: a file system that the host unmounts is not held by a copy of its mount.
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trimEnd().split('\n');
    assert.equal(mounts.length, 2 + volumes.length, mounts.join('\n'));
    assert.equal(cgroupsOf(pid), cgroupsOf(guest.vm.identity.pid), 'it shares the limits of the VM');
  }

  writeFileSync(join(dir, 'other-settings'), 'other\n');
  renameSync(join(dir, 'other-settings'), join(dir, 'settings'));
  rmSync(join(dir, 'out'), { recursive: true });
  writeFileSync(join(dir, 'data/greeting'), 'renamed\n');
  await said('end');
  assert.equal(readFileSync(join(dir, 'data/still'), 'utf8'), 'still\n');
  assert.deepEqual(readdirSync(root).sort(), ['bin', 'link', 'srv']);
  assert.deepEqual(readdirSync(join(root, 'srv')), []);
  assert.ok(!existsSync(join(root, 'bin/new')) && !existsSync(join(root, 'bin/own')));

  // Without its files the guest hangs for good: the VM ends, and its policy decides.
  for (const { pid } of sharers) process.kill(pid, 'SIGKILL');
  assert.equal((await guest.event('process-ended')).reason, 'vm-crash');
  const printed = await lines();
  assert.deepEqual(
    printed.filter((line) => !line.startsWith('ok: ')),
    ['ready', 'end'],
  );
  await assertNothingIsLeft(host.paths.home);
});

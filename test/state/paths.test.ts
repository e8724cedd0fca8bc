import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import test from 'node:test';
import { HomePaths, resolveHome } from '../../src/state/paths.ts';

test('the home is the option, else MONOCORE_HOME, else ~/.monocore', () => {
  assert.equal(resolveHome('/a', { MONOCORE_HOME: '/b' }), '/a');
  assert.equal(resolveHome(undefined, { MONOCORE_HOME: '/b' }), '/b');
  assert.equal(resolveHome(undefined, {}), join(homedir(), '.monocore'));
  assert.equal(resolveHome('', { MONOCORE_HOME: '' }), join(homedir(), '.monocore'));
});

test('the home is absolute whatever was given', () => {
  assert.equal(resolveHome('a', {}), join(process.cwd(), 'a'));
  assert.equal(resolveHome(undefined, { MONOCORE_HOME: '../b' }), join(process.cwd(), '../b'));
});

test('everything is below the home, at its documented place', () => {
  const home = new HomePaths('/home/me/.monocore');
  const vm = home.vm('web');
  const places = {
    socket: home.socket,
    state: home.stateFile('web'),
    ended: home.endedFile('web'),
    stdout: vm.fifo('stdout'),
    control: vm.control,
    qmp: vm.qmp,
    share: vm.share,
    release: vm.release,
    jail: vm.jail,
    exit: vm.exitRecord,
    disk: home.disk('web'),
    log: home.logDir,
    daemonLog: home.daemonLog,
    initramfs: home.initramfsDir,
    verdict: home.acceleratorVerdict,
    kernel: home.kernelDir,
    index: home.images.index,
    layout: home.images.layoutFile,
    blob: home.images.blob('sha256:ab'),
    partial: home.images.partial('sha256:ab'),
  };
  assert.deepEqual(
    Object.fromEntries(Object.entries(places).map(([name, path]) => [name, relative(home.home, path)])),
    {
      socket: 'daemon.sock',
      state: 'run/web.json',
      ended: 'ended/web.json',
      stdout: 'run/web/stdout.fifo',
      control: 'run/web/control.sock',
      qmp: 'run/web/qmp.sock',
      share: 'run/web/share.sock',
      release: 'run/web/release.fifo',
      jail: 'run/web/jail',
      exit: 'run/web/exit',
      disk: 'disk/web.img',
      log: 'log',
      daemonLog: 'log/monocore',
      initramfs: 'cache/initramfs',
      verdict: 'cache/accelerator.json',
      kernel: 'kernel',
      index: 'images/index.json',
      layout: 'images/oci-layout',
      blob: 'images/blobs/sha256/ab',
      partial: 'images/partial/ab',
    },
  );
});

test('no name makes a path outside of the home', () => {
  const home = new HomePaths('/home');
  for (const name of ['..', '../x', '/x', 'a/../../b', '', '.', 'a\0b', 'a.json/../..']) {
    for (const path of ['stateFile', 'endedFile', 'disk', 'vm'] as const) {
      assert.throws(() => home[path](name), { code: 'Internal', message: /is not the name of a service/ }, name);
    }
  }
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { chooseAccelerator, readQemuVersion } from '../../../src/vm/qemu/accelerator.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** A host with KVM that boots a probe VM or not, and how often it was asked to. */
async function makeHost(t: TestContext) {
  const dir = await makeTempDir(t);
  const image = join(dir, 'vmlinuz-6.1');
  writeFileSync(image, 'kernel');
  const verdictPath = join(dir, 'cache', 'accelerator.json');
  const qemu = join(dir, 'qemu');
  const setQemuVersion = (version: string) => writeProgram(qemu, `echo 'QEMU emulator version ${version} (Debian)'`);
  setQemuVersion('7.2.22');
  let probes = 0;
  const choose = (failure: string | null = null, obstacle: string | null = null) =>
    chooseAccelerator(
      qemu,
      { image, release: '6.1', modulesDir: null },
      verdictPath,
      async () => {
        probes += 1;
        return failure;
      },
      obstacle,
    );
  return { image, qemu, verdictPath, setQemuVersion, choose, probes: () => probes };
}

test('KVM is used when a probe VM has booted with it, and the probe runs once', async (t) => {
  const { choose, probes, verdictPath } = await makeHost(t);
  const verdict = await choose();
  assert.equal(verdict.accelerator, 'kvm');
  assert.equal(verdict.qemu_version, '7.2.22');
  assert.deepEqual(JSON.parse(readFileSync(verdictPath, 'utf8')), verdict);
  assert.deepEqual(await choose('would fail now'), verdict);
  assert.equal(probes(), 1);
});

test('a host whose KVM boots no guest is emulated on, with the reason, and is not asked again', async (t) => {
  const { choose, probes } = await makeHost(t);
  const verdict = await choose('it was not ready in 8 s: panic');
  assert.equal(verdict.accelerator, 'tcg');
  assert.equal(verdict.reason, 'a probe VM did not boot with KVM: it was not ready in 8 s: panic');
  assert.deepEqual(await choose(), verdict);
  assert.equal(probes(), 1);
});

test('another kernel, a changed one, or another QEMU is probed anew', async (t) => {
  const { choose, probes, image, setQemuVersion } = await makeHost(t);
  await choose();
  writeFileSync(image, 'a longer kernel');
  await choose();
  assert.equal(probes(), 2);
  const { atime, mtimeMs } = statSync(image);
  utimesSync(image, atime, new Date(mtimeMs + 60_000));
  await choose();
  assert.equal(probes(), 3);
  setQemuVersion('9.0.0');
  assert.equal((await choose('no')).accelerator, 'tcg');
  assert.equal(probes(), 4);
});

test('a cache that is torn, or of another version, is written anew', async (t) => {
  const { choose, probes, verdictPath } = await makeHost(t);
  const verdict = await choose();
  const whole = readFileSync(verdictPath, 'utf8');
  for (const content of [whole.slice(0, -20), '', '{"accelerator": "hvf"}', 'null']) {
    writeFileSync(verdictPath, content);
    assert.deepEqual(await choose(), verdict);
    assert.equal(readFileSync(verdictPath, 'utf8'), whole);
  }
  assert.equal(probes(), 5);
});

test('without a usable /dev/kvm nothing is probed, and nothing kept that would hide it when it comes', async (t) => {
  const { choose, probes, verdictPath } = await makeHost(t);
  const verdict = await choose(null, 'the host has no /dev/kvm');
  assert.deepEqual([verdict.accelerator, verdict.reason], ['tcg', 'the host has no /dev/kvm']);
  assert.equal(existsSync(verdictPath), false);
  assert.equal((await choose()).accelerator, 'kvm');
  assert.equal(probes(), 1);
});

test('the version of QEMU is read from what it says', async (t) => {
  const { qemu } = await makeHost(t);
  assert.equal(await readQemuVersion(qemu), '7.2.22');
  writeProgram(qemu, 'echo something else');
  assert.equal(await readQemuVersion(qemu), 'unknown');
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { chooseAccelerator } from '../../../src/vm/qemu/kvm-test.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

/** A host with KVM that boots a test VM or not, and the number of tests. */
async function makeHost(t: TestContext) {
  const dir = await makeTempDir(t);
  const image = join(dir, 'vmlinuz-6.1');
  writeFileSync(image, 'kernel');
  const verdictPath = join(dir, 'cache', 'accelerator.json');
  const qemu = join(dir, 'qemu');
  const setQemuVersion = (version: string) => writeProgram(qemu, `echo 'QEMU emulator version ${version} (Debian)'`);
  setQemuVersion('7.2.22');
  let tests = 0;
  const choose = (failure: string | null = null, obstacle: string | null = null) =>
    chooseAccelerator(
      qemu,
      { image, release: '6.1', modulesDir: null },
      verdictPath,
      async () => {
        tests += 1;
        return failure;
      },
      obstacle,
    );
  return { image, qemu, verdictPath, setQemuVersion, choose, tests: () => tests };
}

test('KVM is used when a test VM has booted with it, and the test runs once', async (t) => {
  const { choose, tests, verdictPath } = await makeHost(t);
  const verdict = await choose();
  assert.equal(verdict.accelerator, 'kvm');
  assert.equal(verdict.qemu_version, '7.2.22');
  assert.deepEqual(JSON.parse(readFileSync(verdictPath, 'utf8')), verdict);
  assert.deepEqual(await choose('would fail now'), verdict);
  assert.equal(tests(), 1);
});

test('a host whose KVM boots no guest is emulated on, with the reason, and is not asked again', async (t) => {
  const { choose, tests } = await makeHost(t);
  const verdict = await choose('it was not ready in 8 s: panic');
  assert.equal(verdict.accelerator, 'tcg');
  assert.equal(verdict.reason, 'a test VM did not boot with KVM: it was not ready in 8 s: panic');
  assert.deepEqual(await choose(), verdict);
  assert.equal(tests(), 1);
});

test('another kernel, a changed one, or another QEMU is tested anew', async (t) => {
  const { choose, tests, image, setQemuVersion } = await makeHost(t);
  await choose();
  writeFileSync(image, 'a longer kernel');
  await choose();
  assert.equal(tests(), 2);
  const { atime, mtimeMs } = statSync(image);
  utimesSync(image, atime, new Date(mtimeMs + 60_000));
  await choose();
  assert.equal(tests(), 3);
  setQemuVersion('9.0.0');
  assert.equal((await choose('no')).accelerator, 'tcg');
  assert.equal(tests(), 4);
});

test('a cache that is torn, or of another version, is written anew', async (t) => {
  const { choose, tests, verdictPath } = await makeHost(t);
  const verdict = await choose();
  const whole = readFileSync(verdictPath, 'utf8');
  for (const content of [whole.slice(0, -20), '', '{"accelerator": "hvf"}', 'null']) {
    writeFileSync(verdictPath, content);
    assert.deepEqual(await choose(), verdict);
    assert.equal(readFileSync(verdictPath, 'utf8'), whole);
  }
  assert.equal(tests(), 5);
});

test('without a usable /dev/kvm nothing is tested, and nothing kept that would hide it when it comes', async (t) => {
  const { choose, tests, verdictPath } = await makeHost(t);
  const verdict = await choose(null, 'the host has no /dev/kvm');
  assert.deepEqual([verdict.accelerator, verdict.reason], ['tcg', 'the host has no /dev/kvm']);
  assert.equal(existsSync(verdictPath), false);
  assert.equal((await choose()).accelerator, 'kvm');
  assert.equal(tests(), 1);
});

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { eventually } from '../helpers/eventually.ts';
import { openFilesBelow } from '../helpers/processes/open-files.ts';
import { runCli } from '../helpers/processes/run-cli.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

test('descriptors that a caller left open reach neither the daemon that it starts nor a service', async (t) => {
  const home = await makeTempDir(t);
  const config = join(home, 'monocore.toml');
  writeFileSync(
    config,
    '[[service]]\nname = "list"\nisolation = "none"\ncommand = "ls"\nargs = ["-1", "/proc/self/fd"]\nworkdir = "/"\n',
  );
  const path = join(home, 'left-open');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  defer(t, () => runCli(['--home', home, 'daemon', 'stop']));
  // Node itself keeps the lower ones from its children.
  const { exitCode, stderr } = await runCli(['--home', home, 'start', '-f', config], { stray: { fd, number: 40 } });
  assert.equal(exitCode, 0, stderr);

  const log = join(home, 'log/list.stdout.log');
  const listed = await eventually('the list', () => {
    const lines = readFileSync(log, 'utf8').split('\n').slice(0, -1);
    return lines.length > 3 && lines.map((line) => line.replace(/^.*\] /, ''));
  });
  assert.deepEqual(listed, ['0', '1', '2', '3'], 'the last is the folder that is listed');

  const { stdout } = await runCli(['--home', home, 'daemon', 'status', '--json']);
  const { pid } = JSON.parse(stdout.toString()) as { pid: number };
  assert.equal(openFilesBelow(path, pid), 0);
});

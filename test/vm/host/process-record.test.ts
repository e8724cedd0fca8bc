import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { identify } from '../../../src/lib/proc.ts';
import { readProcessRecord } from '../../../src/vm/host/process-record.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('only a whole record in a file of this user counts', async (t) => {
  const dir = await makeTempDir(t);
  const path = join(dir, 'process');
  const own = identify(process.pid)!;
  const line = `${own.pid} ${own.start_time} ${own.boot_id}\n`;
  assert.equal(readProcessRecord(path), null);
  writeFileSync(path, line);
  assert.deepEqual(readProcessRecord(path), own);
  for (const text of ['', line.trimEnd(), line.slice(1, 9), `0 1 ${own.boot_id}\n`, `-1${line}`, `${line}${line}`]) {
    writeFileSync(path, text);
    assert.equal(readProcessRecord(path), null, JSON.stringify(text));
  }
  writeFileSync(path, line);
  symlinkSync(path, join(dir, 'link'));
  assert.equal(readProcessRecord(join(dir, 'link')), null);
  if (process.getuid!() === 0) {
    chownSync(path, 65534, 65534);
    assert.equal(readProcessRecord(path), null);
  }
  rmSync(path);
  execFileSync('mkfifo', [path]);
  assert.equal(readProcessRecord(path), null, 'a FIFO does not block');
});

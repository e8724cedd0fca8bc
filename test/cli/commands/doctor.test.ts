import assert from 'node:assert/strict';
import test from 'node:test';
import { renderDoctor } from '../../../src/cli/commands/doctor.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';

test("the doctor's report has a line per check, advice beneath it and a verdict", () => {
  const checks = [
    { name: 'qemu', state: 'ok', finding: '7.2.0', advice: null },
    { name: 'kernel', state: 'failed', finding: 'none', advice: 'run monocore setup, or name one' },
  ] as const;
  assert.equal(
    renderDoctor({ ok: false, checks }, { colors: NO_COLORS, columns: 40 }),
    [
      'ok       qemu    7.2.0',
      'failed   kernel  none',
      '                 run monocore setup, or',
      '                 name one',
      '',
      'This host cannot run microVMs yet.',
      '',
    ].join('\n'),
  );
  assert.match(renderDoctor({ ok: true, checks: [] }, { colors: NO_COLORS, columns: 40 }), /can run microVMs/);
});

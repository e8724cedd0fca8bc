import assert from 'node:assert/strict';
import test from 'node:test';
import type { Exit, VmEndReason } from '../../../src/vm/backend.ts';
import { type EndSigns, findReason } from '../../../src/vm/qemu/end-reason.ts';

const IN_ORDER: Exit = { code: 0, signal: null };
const FAILED: Exit = { code: 1, signal: null };
const UNKNOWN: Exit = { code: null, signal: null };
const KILLED: Exit = { code: 137, signal: 'SIGKILL' };

test('the end of a machine has the reason that its signs tell', () => {
  const signs: EndSigns = { exit: IN_ORDER, asked: false, panicked: false, cause: null, heard: true };
  const table: [string, Partial<EndSigns>, VmEndReason | null][] = [
    ['it said that it panicked', { panicked: true, cause: 'host-qmp-quit' }, 'guest-panic'],
    ['it panicked on its way out', { panicked: true, asked: true }, 'guest-panic'],
    ['QEMU ended it for the panic', { cause: 'guest-panic' }, 'guest-panic'],
    ['the guest reset it', { cause: 'guest-reset' }, 'guest-reset'],
    ['the guest switched it off', { cause: 'guest-shutdown' }, 'guest-reset'],
    ['the guest did as it was told', { cause: 'guest-reset', asked: true }, null],
    ['somebody ended QEMU in order', { cause: 'host-signal' }, null],
    ['QEMU was killed', { exit: KILLED }, 'vm-crash'],
    ['QEMU was killed as asked', { exit: KILLED, asked: true }, null],
    ['QEMU failed before it could be heard', { exit: FAILED, heard: false }, 'vm-crash'],
    ['an adopted QEMU ended without a word', { exit: UNKNOWN }, 'vm-crash'],
    ['an adopted QEMU was never heard', { exit: UNKNOWN, heard: false }, null],
    ['nobody heard it, but it ended in order', { heard: false }, null],
  ];
  for (const [what, some, reason] of table) assert.equal(findReason({ ...signs, ...some }), reason, what);
});

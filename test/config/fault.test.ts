import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPath, quote } from '../../src/config/fault.ts';

test('formatPath writes indexes in brackets and odd keys in quotes', () => {
  assert.equal(formatPath([]), '');
  assert.equal(formatPath(['kernel']), 'kernel');
  assert.equal(formatPath(['service', 1, 'args', 0]), 'service[1].args[0]');
  assert.equal(formatPath(['service', 0, 'envs', 'a.b "c"']), 'service[0].envs."a.b \\"c\\""');
  assert.equal(formatPath(['', 'x']), '"".x');
});

test('quote escapes every control character and cuts long text', () => {
  assert.equal(quote('a "b"'), '"a \\"b\\""');
  assert.equal(quote('\u001b\u007f\u009b\n'), '"\\u001b\\u007f\\u009b\\n"');
  assert.equal(quote('x'.repeat(61)), `"${'x'.repeat(60)}…"`);
});

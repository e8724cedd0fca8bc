import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import fc from 'fast-check';
import type { VmProbe } from '../../../src/vm/backend.ts';
import { judgeAnswer, renderProbe } from '../../../src/vm/guest/probe-command.ts';

const tcp: VmProbe = { type: 'tcp', port: 80 };
const http: VmProbe = { type: 'http', port: 80, path: '/' };
const exec: VmProbe = { type: 'exec', command: ['true'] };

test('a probe is a line: its kind, then words for the guest’s shell', () => {
  assert.equal(renderProbe(tcp), 'tcp 80');
  assert.equal(renderProbe({ type: 'http', port: 80, path: "/it's?a=$b" }), "http 80 '/it'\\''s?a=$b'");
  assert.equal(renderProbe({ type: 'exec', command: ['/bin/check', 'a b', ''] }), "exec '/bin/check' 'a b' ''");
});

test('any words stay on one line, and are read back exactly', () => {
  // The guest's init sets `newline`, and evaluates the line.
  const script = `newline='\n'; eval "set -- $1"; printf '%s\\0' "$@"`;
  const unit = fc.oneof(fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', ';'), fc.string({ unit: 'binary' }));
  const word = fc.string({ unit }).map((text) => text.replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const line = renderProbe({ type: 'exec', command: words });
      assert.equal(line.includes('\n'), false);
      const output = execFileSync('busybox', ['sh', '-c', script, 'sh', line], { encoding: 'utf8' });
      assert.deepEqual(output.split('\0').slice(0, -1), ['exec', ...words]);
    }),
    { numRuns: 40 },
  );
});

test('a port answers when a connection is made', () => {
  assert.deepEqual(judgeAnswer(tcp, { status: 0, text: '' }), { ok: true, detail: 'connection accepted' });
  assert.deepEqual(judgeAnswer(tcp, { status: 1, text: '' }), { ok: false, detail: 'connection refused' });
});

test('a page answers with a status of 200 to 399', () => {
  const judge = (text: string) => judgeAnswer(http, { status: 0, text });
  for (const status of ['200', '204', '301', '399']) {
    assert.deepEqual(judge(`HTTP/1.1 ${status} Whatever\r`), { ok: true, detail: `status ${status}` });
  }
  for (const status of ['100', '199', '400', '404', '503', '999']) {
    assert.deepEqual(judge(`HTTP/1.0 ${status}`), { ok: false, detail: `status ${status}` });
  }
  for (const text of ['', 'SSH-2.0-OpenSSH_9.2', 'HTTP/1.1', 'HTTP/1.1 2000 OK', ' HTTP/1.1 200 OK']) {
    assert.deepEqual(judge(text), { ok: false, detail: 'no HTTP response' }, text);
  }
  assert.deepEqual(judgeAnswer(http, { status: 1, text: '' }), { ok: false, detail: 'connection refused' });
});

test('a command answers with its exit code, or why it could not be run', () => {
  assert.deepEqual(judgeAnswer(exec, { status: 0, text: 'started' }), { ok: true, detail: 'exit code 0' });
  assert.deepEqual(judgeAnswer(exec, { status: 3, text: 'started' }), { ok: false, detail: 'exit code 3' });
  assert.deepEqual(judgeAnswer(exec, { status: 127, text: 'failed command not found: x' }), {
    ok: false,
    detail: 'command not found: x',
  });
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { findVirtiofsd } from '../../../src/vm/host/host-tools.ts';
import { identifyVirtiofsd, parseVirtiofsdKind, renderVirtiofsdArgs } from '../../../src/vm/host/virtiofsd.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const C_VERSION = 'virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7)\nusing FUSE kernel interface version 7.36\n';

test('the two programs are told apart by what they say of their version', async (t) => {
  assert.equal(parseVirtiofsdKind(C_VERSION), 'c');
  assert.equal(parseVirtiofsdKind('virtiofsd 1.13.2\n'), 'rust');
  assert.equal(parseVirtiofsdKind('virtiofsd backend 1.1.0\n'), 'rust');
  const dir = await makeTempDir(t);
  assert.equal(await identifyVirtiofsd(writeProgram(join(dir, 'c'), `echo '${C_VERSION}'`)), 'c');
  assert.equal(await identifyVirtiofsd(writeProgram(join(dir, 'rust'), 'echo virtiofsd 1.10.0')), 'rust');
  await assert.rejects(identifyVirtiofsd(writeProgram(join(dir, 'broken'), 'exit 1')), { code: 'StartFailed' });
  assert.match(await identifyVirtiofsd(findVirtiofsd()), /^(c|rust)$/);
});

test('each gets the options that it knows', () => {
  const sharing = { directory: '/sys', socketPath: '/run/a,b/share.sock', changes: false };
  const options = ['source=/sys', 'cache=auto', 'sandbox=namespace', 'modcaps=-mknod', 'announce_submounts'];
  const inC = (...added: string[]) => [
    '--socket-path=/run/a,b/share.sock',
    ...[...options, ...added].flatMap((option) => ['-o', option]),
  ];
  assert.deepEqual(renderVirtiofsdArgs('c', sharing), inC());
  assert.deepEqual(renderVirtiofsdArgs('c', { ...sharing, changes: true }), inC('timeout=0', 'no_readdirplus'));
  assert.deepEqual(renderVirtiofsdArgs('rust', { ...sharing, changes: true }), [
    '--socket-path=/run/a,b/share.sock',
    '--shared-dir=/sys',
    '--cache=auto',
    '--sandbox=namespace',
    '--modcaps=-mknod',
    '--announce-submounts',
  ]);
});

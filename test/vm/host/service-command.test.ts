import assert from 'node:assert/strict';
import test from 'node:test';
import type { ImageDefaults } from '../../../src/protocol/images.ts';
import type { Service } from '../../../src/protocol/service.ts';
import {
  defaultStopSignal,
  describeOmissions,
  imageCommand,
  ownCommand,
} from '../../../src/vm/host/service-command.ts';
import { scriptService } from '../../helpers/fakes/services.ts';

const NOTHING: ImageDefaults = { entrypoint: [], cmd: [], env: [], workdir: null, user: null, stop_signal: null };

function programOf(defaults: Partial<ImageDefaults>, service: Partial<Service> = {}) {
  const left = { image: 'app', command: null, args: [], workdir: null };
  return imageCommand({ ...scriptService('web', ''), ...left, ...service }, { ...NOTHING, ...defaults });
}

function wordsOf(...args: Parameters<typeof programOf>): string[] {
  const { command, args: rest } = programOf(...args);
  return [command, ...rest];
}

test('a command stands for entrypoint and arguments of the image, arguments alone for its arguments', () => {
  const image = { entrypoint: ['/entry', '-x'], cmd: ['serve'] };
  assert.deepEqual(wordsOf(image), ['/entry', '-x', 'serve']);
  assert.deepEqual(wordsOf(image, { args: ['check', ''] }), ['/entry', '-x', 'check', '']);
  assert.deepEqual(wordsOf(image, { command: 'sh' }), ['sh']);
  assert.deepEqual(wordsOf(image, { command: 'sh', args: ['-c', 'id'] }), ['sh', '-c', 'id']);
  assert.deepEqual(wordsOf({ cmd: ['sh', '-l'] }), ['sh', '-l']);
  assert.deepEqual(wordsOf({ cmd: ['sh', '-l'] }, { args: ['ls'] }), ['ls']);
});

test('a service is not started when nobody says what to run', () => {
  for (const image of [{}, { cmd: [''] }]) {
    assert.throws(() => programOf(image), {
      code: 'StartFailed',
      message: 'web has nothing to run: its image names no command; set "command" in the config',
    });
  }
});

test('variables of the config win over those of the image, whatever their names are', () => {
  const env = ['A=image', 'B=x=y', 'C', 'not.a.name=1', '=2', 'A=later'];
  const { envs } = programOf({ env, cmd: ['true'] }, { envs: { B: 'service' } });
  assert.deepEqual(envs, { A: 'later', B: 'service', C: '', 'not.a.name': '1' });
  assert.deepEqual(describeOmissions(NOTHING), []);
});

test('the working directory is that of the config, of the image, or the root', () => {
  const cmd = ['true'];
  assert.equal(programOf({ cmd }).workdir, '/');
  assert.equal(programOf({ cmd, workdir: '/srv' }).workdir, '/srv');
  assert.equal(programOf({ cmd, workdir: 'srv' }).workdir, '/srv');
  assert.equal(programOf({ cmd, workdir: '/srv' }, { workdir: '/own' }).workdir, '/own');
});

test('a program of an image has a user, any other has one that the config names', () => {
  assert.equal(programOf({ cmd: ['true'] }).user, '0');
  assert.equal(programOf({ cmd: ['true'], user: 'web:log' }).user, 'web:log');
  assert.equal(programOf({ cmd: ['true'], user: 'web:log' }, { user: '1000' }).user, '1000', 'the config wins');
  assert.equal(ownCommand(scriptService('web', '')).user, null);
  assert.equal(ownCommand(scriptService('web', '', { user: 'web' })).user, 'web');
  assert.throws(() => ownCommand({ ...scriptService('web', ''), command: null }), { code: 'Internal' });
});

test('a stop signal is known by its name or number, and SIGTERM takes the place of any other', () => {
  for (const [text, signal] of [
    [null, 'TERM'],
    ['SIGQUIT', 'QUIT'],
    ['quit', 'QUIT'],
    ['SIGWINCH', 'WINCH'],
    ['28', 'WINCH'],
    ['9', 'KILL'],
    ['SIGRTMIN+3', '37'],
    ['RTMAX-1', '63'],
    ['SIGRTMIN', '34'],
    ['64', '64'],
  ] as const) {
    const image = { ...NOTHING, stop_signal: text };
    assert.equal(defaultStopSignal(image), signal, String(text));
    assert.deepEqual(describeOmissions(image), [], String(text));
  }
  for (const text of ['SIGNONE', '0', '65', '33', '-9', 'RTMIN-1', 'RTMAX+1', 'RTMIN+31', 'TERM KILL', '1e1']) {
    const image = { ...NOTHING, stop_signal: text };
    assert.equal(defaultStopSignal(image), 'TERM', text);
    assert.deepEqual(describeOmissions(image), [
      `the stop signal of the image is unknown, ${JSON.stringify(text)}: SIGTERM is sent`,
    ]);
  }
});

import assert from 'node:assert/strict';
import test from 'node:test';
import pc from 'picocolors';
import { decorateRecord } from '../../../src/cli/render/log-record.ts';

const colors = pc.createColors(true);
const TIME = '2026-11-23T08:00:00.123Z';

test('the time of a record is dimmed and the name of its service coloured', () => {
  const painted = decorateRecord(`${TIME} INFO [web] hello [db] ERROR`, colors);
  const foreground = '\x1b[39m';
  assert.ok(painted.startsWith(`${colors.dim(TIME)} INFO \x1b[`), painted);
  assert.ok(painted.endsWith(`m[web]${foreground} hello [db] ERROR`), painted);
});

test('ERROR is red, and what monocore itself says is yellow', () => {
  assert.ok(decorateRecord(`${TIME} ERROR [web] hello`, colors).includes(` ${colors.red('ERROR')} `));
  assert.ok(decorateRecord(`${TIME} ERROR+ [web] hello`, colors).includes(` ${colors.red('ERROR')}+ `));
  assert.ok(decorateRecord(`${TIME} WARN [web] hello`, colors).includes(` ${colors.yellow('WARN')} `));
});

test('a service has the same colour in every record, and not all services have the same', () => {
  const paint = (name: string) => decorateRecord(`${TIME} INFO [${name}] x`, colors).replace(`[${name}]`, '');
  assert.equal(paint('web'), paint('web'));
  assert.ok(new Set(['web', 'db', 'cache', 'worker', 'proxy'].map(paint)).size > 1);
});

test('what is not in the text format stays as it is', () => {
  for (const record of ['{"level":30,"msg":"hello"}', '', 'hello', `${TIME} NOTE [web] x`, `${TIME} INFO web`]) {
    assert.equal(decorateRecord(record, colors), record);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse, parseService, serviceText, shortProblems } from '../../helpers/config/harness.ts';

test('an array and a table of variables are the same', () => {
  const expected = { A: '1', _b2: '', C: 'x=y=z', D: 'two\nlines' };
  assert.deepEqual(parseService('envs = ["A=1", "_b2=", "C=x=y=z", "D=two\\nlines"]').envs, expected);
  assert.deepEqual(parseService('envs = { A = "1", _b2 = "", C = "x=y=z", D = "two\\nlines" }').envs, expected);
  assert.deepEqual(
    parseService('[service.envs]', 'A = "1"', '_b2 = ""', 'C = "x=y=z"', 'D = "two\\nlines"').envs,
    expected,
  );
});

test('a service has the variables of its group, and its own win', () => {
  const config = parse(`
    [[group]]
    name = "g"
    envs = { SHARED = "group", ONLY_GROUP = "1" }
    [[service]]
    name = "in"
    group = "g"
    command = "x"
    envs = ["SHARED=own", "ONLY_OWN=1"]
    [[service]]
    name = "out"
    command = "x"
  `);
  assert.deepEqual(config.services[0]?.envs, { SHARED: 'own', ONLY_GROUP: '1', ONLY_OWN: '1' });
  assert.deepEqual(config.services[1]?.envs, {});
});

test('every faulty element of the array is reported at its place', () => {
  const lines = ['envs = [', '  "A=1", "novalue",', '  "1A=x",', '  7,', '  "B=\\u0000", "=x",', '  "A=2",', ']'];
  assert.deepEqual(shortProblems(serviceText(...lines)), [
    '5:10 service[0].envs[1]: has no "="',
    '6:3 service[0].envs[2]: "1A" is not a valid variable name',
    '7:3 service[0].envs[3]: must be a string, not a number',
    '8:3 service[0].envs[4]: must not contain a NUL character',
    '8:15 service[0].envs[5]: "" is not a valid variable name',
    '9:3 service[0].envs[6]: "A" is set twice',
  ]);
});

test('every faulty key of the table is reported at its value', () => {
  const lines = ['[service.envs]', 'PORT = 8080', 'GOOD = "x"', '"A-B" = "y"', 'C = "\\u0000"'];
  assert.deepEqual(shortProblems(serviceText(...lines)), [
    '5:8 service[0].envs.PORT: must be a string, not a number',
    '7:9 service[0].envs.A-B: "A-B" is not a valid variable name',
    '8:5 service[0].envs.C: must not contain a NUL character',
  ]);
});

test('names that JavaScript objects give a meaning are refused rather than lost', () => {
  for (const name of ['__proto__', 'prototype', 'constructor']) {
    const message = `"${name}" cannot be a name here`;
    assert.deepEqual(shortProblems(serviceText(`envs = ["${name}=x"]`)), [`4:9 service[0].envs[0]: ${message}`]);
    assert.deepEqual(shortProblems(serviceText('[service.envs]', `${name} = "x"`)), [
      `5:${name.length + 4} service[0].envs.${name}: ${message}`,
    ]);
  }
});

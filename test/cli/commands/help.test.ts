import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { runCli } from '../../helpers/processes/run-cli.ts';
import { makeTempDir } from '../../helpers/temp.ts';

async function help(...words: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runCli(['help', ...words]);
  assert.equal(stderr, '');
  assert.equal(exitCode, 0);
  return stdout.toString();
}

test('help lists the commands by group, the topics and the exit codes, as --help does', async () => {
  const text = await help();
  assert.match(text, /\nServices:\n {2}start\|up .*\n/);
  assert.match(text, /\nHost and daemon:\n {2}setup .*\n(?: {3,}.*\n)* {2}doctor .*\n {2}daemon /);
  assert.match(text, /\nManual \(monocore help TOPIC\):\n {2}start +Getting started\n/);
  assert.match(text, /\n {2}troubleshooting +Troubleshooting by symptom\n/);
  assert.match(text, /\nExit codes:\n {2}0 /);
  assert.equal(text, (await runCli(['--help'])).stdout.toString());
});

test('help on a topic is the page as plain text where there is no terminal', async () => {
  const text = await help('states');
  assert.match(text, /^Service states\n\n {2}A service is always/);
  assert.match(text, /\n {2}running +`Started` /);
  assert.ok(!text.includes('\x1b'));
  assert.ok(Math.max(...text.split('\n').map((line) => line.length)) <= 100);
});

test('help on a command is its usage, by its alias and for a command of a command, too', async () => {
  assert.match(await help('ps'), /^Usage: monocore status\|ps \[options\] \[names\.\.\.\]\n/);
  assert.match(await help('daemon', 'run'), /^Usage: monocore daemon run \[options\]\n[\s\S]*--log-level/);
  assert.equal(await help('daemon', 'run'), (await runCli(['daemon', 'run', '--help'])).stdout.toString());
});

test('a word that is a command and a topic has both, the usage first', async () => {
  assert.match(await help('start'), /^Usage: monocore start[\s\S]*\nGetting started\n\n {2}monocore boots/);
});

test('an unknown word is wrong usage, with a suggestion and the list of topics', async () => {
  const { exitCode, stdout, stderr } = await runCli(['help', 'state']);
  assert.equal(exitCode, 2);
  assert.equal(stdout.toString(), '');
  assert.match(stderr, /^monocore: there is no help on "state"; did you mean "states"\?\n {2}topics: start, .*states/);
});

test('help works with a broken home', async (t) => {
  const file = join(await makeTempDir(t), 'file');
  await writeFile(file, '');
  const { exitCode } = await runCli(['--home', join(file, 'home'), 'help', 'states']);
  assert.equal(exitCode, 0);
});

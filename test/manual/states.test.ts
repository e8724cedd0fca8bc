import assert from 'node:assert/strict';
import test from 'node:test';
import { renderDiagram, renderStates } from '../../src/manual/states.ts';
import { EVENTS, MACHINE, STATES, type Step } from '../../src/supervisor/machine.ts';

test('the text explains every state and every event', () => {
  const text = renderStates();
  for (const [name, meaning] of [...Object.entries(STATES), ...Object.entries(EVENTS)]) {
    assert.match(text, new RegExp(`^  ${name} +${meaning}$`, 'm'));
  }
});

test('the text has a line for an event of a state, with its purpose and its next states', () => {
  const [, started = ''] = /^ {2}Started\n((?: {4}.*\n)+)/m.exec(renderStates()) ?? [];
  assert.match(started, /^ {4}stop +sends the stop signal to the command -> Stopping\/asking$/m);
  assert.match(started, /^ {4}probed +.* -> Stopping\/asking, or no change$/m);
  assert.match(started, /^ {4}ignores job-failed: The command did start\.$/m);
});

test('the text says of every event what a state does with it', () => {
  const sections = renderStates().split('\n\n').slice(2);
  const unstarted = sections.find((section) => /^ {2}Unstarted$/m.test(section))!;
  assert.match(unstarted, /ignores all other events: There has been no run\./);
  const waiting = sections.find((section) => /^ {2}Stopping, in every phase/m.test(section))!;
  for (const type of Object.keys(EVENTS)) assert.match(waiting, new RegExp(`\\b${type}\\b`), type);
});

test('phases of a stop have lines of their own only where they differ', () => {
  const text = renderStates();
  assert.match(text, /^ {2}Stopping\/draining\n {4}process-ended .*\n {4}drained .*-> Stopping\/releasing/m);
  assert.doesNotMatch(text, /^ {2}Stopping\/releasing\n/m, 'it has nothing of its own');
});

test('the diagram leads from each state to each of its next states', () => {
  const arrows = renderDiagram();
  const node = (name: string) => name.replace(/^.*\//, '');
  for (const [name, row] of Object.entries(MACHINE)) {
    for (const [type, cell] of Object.entries(row) as [string, Step][]) {
      for (const next of (cell.to ?? []).filter((candidate) => candidate !== 'same')) {
        const from = name.startsWith('Stopping/') ? `(${node(name)}|Stopping)` : node(name);
        assert.match(arrows, new RegExp(`^ +${from} --> ${node(next)}: .*\\b${type}\\b`, 'm'), `${name} ${type}`);
      }
    }
  }
});

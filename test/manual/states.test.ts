import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { renderDiagram, renderStates } from '../../src/manual/states.ts';
import { EVENTS, MACHINE, STATES, type Step } from '../../src/supervisor/machine.ts';

test('the text explains every state and every event', () => {
  const text = renderStates();
  for (const [name, meaning] of [...Object.entries(STATES), ...Object.entries(EVENTS)]) {
    assert.ok(text.includes(`\n| ${name} | ${meaning} |\n`), name);
  }
});

test('the text has a row for an event of a state, with its purpose and its next states', () => {
  const [, started = ''] = /^### Started\n([\s\S]*?)\n###/m.exec(renderStates()) ?? [];
  assert.match(started, /^\| stop \| sends the stop signal to the command \| Stopping\/asking \|$/m);
  assert.match(started, /^\| probed \| .* \| Stopping\/asking or no change \|$/m);
  assert.match(started, /^- ignores job-failed: The command did start\.$/m);
});

test('the text says of every event what a state does with it', () => {
  const sections = renderStates().split(/^### /m);
  const unstarted = sections.find((section) => section.startsWith('Unstarted\n'))!;
  assert.match(unstarted, /ignores all other events: There has been no run\./);
  const stopping = sections.find((section) => section.startsWith('Stopping, in every phase'))!;
  for (const type of Object.keys(EVENTS)) assert.match(stopping, new RegExp(`\\b${type}\\b`), type);
});

test('phases of a stop have rows of their own only where they differ', () => {
  const text = renderStates();
  assert.match(text, /^### Stopping\/draining\n[\s\S]*?\n\| drained \| .* \| Stopping\/releasing or no change \|$/m);
  assert.doesNotMatch(text, /^### Stopping\/releasing\n/m, 'it has nothing of its own');
});

test('the manual shows the diagram', async () => {
  const page = await readFile(new URL('../../src/manual/states.md', import.meta.url), 'utf8');
  assert.ok(page.includes(`\n\`\`\`mermaid\n${renderDiagram()}\n\`\`\`\n`), 'its diagram is renderDiagram()');
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

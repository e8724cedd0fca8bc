import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { renderStates } from '../../src/manual/states.ts';
import { EVENTS, type Ignored, MACHINE, STATES, type Step } from '../../src/supervisor/machine.ts';

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

test('the diagram of the manual has an arrow for each step to another state', async () => {
  const page = await readFile(new URL('../../src/manual/states.md', import.meta.url), 'utf8');
  const [, diagram = ''] = /^```mermaid\nstateDiagram-v2\n([\s\S]*?)\n```$/m.exec(page) ?? [];
  const drawn = diagram.split('\n').filter((line) => line.includes(' --> ') && !line.includes('[*]'));
  assert.deepEqual(drawn.map((line) => line.trim()).sort(), arrows().sort());
});

/** Arrows in Mermaid's syntax, with their events. Most phases of a stop share some of them: these begin at `Stopping`. */
function arrows(): string[] {
  const phases = Object.keys(MACHINE).filter((name) => name.startsWith('Stopping/'));
  const steps = Object.entries(MACHINE).flatMap(([from, row]) =>
    Object.entries<Step | Ignored>(row).flatMap(([type, cell]) =>
      'to' in cell ? cell.to.filter((to) => to !== 'same').map((to) => ({ from, type, to })) : [],
    ),
  );
  const events = new Map<string, Set<string>>();
  for (const { from, type, to } of steps) {
    const alike = steps.filter((step) => phases.includes(step.from) && step.type === type && step.to === to);
    const isShared = phases.includes(from) && alike.length > phases.length / 2;
    // Mermaid takes no slash in a name.
    const [source, target] = [isShared ? 'Stopping' : from, to].map((name) => name.replace(/^.*\//, ''));
    const arrow = `${source} --> ${target}`;
    events.set(arrow, (events.get(arrow) ?? new Set()).add(type));
  }
  return [...events].map(([arrow, types]) => `${arrow}: ${[...types].join(', ')}`);
}

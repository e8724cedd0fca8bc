import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCycles } from '../../../src/config/rules/cycles.ts';
import { MAX_TABLES } from '../../../src/config/schema/table.ts';

/** `'a: b c'` is an edge from a to b and one from a to c. */
function cyclesOf(...nodes: string[]): string[] {
  const edges = nodes.map((node): [string, string[]] => {
    const [name = '', targets = ''] = node.split(':');
    return [name, targets.split(' ').filter((target) => target !== '')];
  });
  return findCycles(new Map(edges)).map((cycle) => cycle.join(' -> '));
}

test('a graph without cycle has none, diamonds and unknown targets included', () => {
  assert.deepEqual(cyclesOf('a: b c', 'b: d', 'c: d', 'd:', 'e: nobody'), []);
});

test('a cycle is named from its first node on, without the path to it', () => {
  assert.deepEqual(cyclesOf('a: b', 'b: a'), ['a -> b -> a']);
  assert.deepEqual(cyclesOf('start: b', 'a: b', 'b: c', 'c: a'), ['b -> c -> a -> b']);
});

test('a node that points at itself is a cycle of one', () => {
  assert.deepEqual(cyclesOf('a: a'), ['a -> a']);
});

test('every separate cycle is found once', () => {
  assert.deepEqual(cyclesOf('a: b', 'b: a', 'c: d', 'd: c', 'e: a c'), ['a -> b -> a', 'c -> d -> c']);
});

test('the longest chain of a config neither overflows the stack nor hides the cycle at its end', () => {
  const last = MAX_TABLES - 1;
  const edges = new Map(Array.from({ length: last + 1 }, (_, node) => [`${node}`, [`${node + 1}`]]));
  assert.deepEqual(findCycles(edges), []);
  edges.set(`${last}`, [`${last - 1}`]);
  assert.deepEqual(findCycles(edges), [[`${last - 1}`, `${last}`, `${last - 1}`]]);
});

/** The numbers of the protocol with the agent, which C repeats. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as protocol from '../../../../src/vm/guest/agent/protocol.ts';

const HEADER = readFileSync(new URL('../../../../src/vm/guest/agent/protocol.h', import.meta.url), 'utf8');

/** Numbers of an enumeration. */
function enumeration(name: string): Record<string, number> {
  const [, body] = new RegExp(`enum ${name}\\{([^}]*)\\}`).exec(HEADER)!;
  return Object.fromEntries(
    [...body!.matchAll(/(\w+) = ([^,]+),/g)].map(([, key, value]) => [
      key!,
      value!.split('*').reduce((product, factor) => product * Number(factor), 1),
    ]),
  );
}

test('both sides have the same types of frames', () => {
  const types = Object.entries(protocol.FRAME_TYPES).map(([name, number]) => [
    name.toUpperCase().replace('-', '_'),
    number,
  ]);
  assert.deepEqual(enumeration('frame_type '), Object.fromEntries(types));
  assert.equal(new Set(Object.values(protocol.FRAME_TYPES)).size, types.length);
});

test('both sides have the same sizes', () => {
  const { FRAME_TYPES, RESYNC_BYTES, ...numbers } = protocol;
  assert.deepEqual(enumeration(''), { ...numbers });
  // The largest rest of a frame is all but its first byte.
  assert.ok(RESYNC_BYTES >= protocol.HEAD_BYTES + protocol.MAX_BODY_BYTES);
});

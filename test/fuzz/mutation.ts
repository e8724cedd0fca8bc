/** Changes of inputs, decided by a seed. */
import type { SeededRandom } from '../chaos/random.ts';

/** Longest input: doors bound what they read, and long inputs are slow. */
const MAX_INPUT_BYTES = 64 * 1024;

/** Parts that parsers stumble over. */
const PARTS = [
  ...['', '0', '-1', '1e400', '99999999999999999999', 'NaN', 'null', 'true', '[]', '{}', '""', '"', "'", '\\', '\n'],
  ...['\r\n', '\0', '\t', ' ', ',', ':', '=', '.', '/', '../', '..', '%', '$', '${', '}', '{', '[', ']', '#', '&', '*'],
  ...['__proto__', 'constructor', 'toString', '\u001b]0;x\u0007', '\u009b', '\u202e', '\ud800', '😀', '\ufeff', 'é'],
].map((text) => Buffer.from(text));

type Mutation = (input: Buffer, random: SeededRandom, other: Buffer) => Buffer;

/** A range of an input, mostly short. */
function rangeOf(input: Buffer, random: SeededRandom): [number, number] {
  const from = random.between(0, input.length);
  const length = random.next() < 0.8 ? random.between(0, 8) : random.between(0, input.length);
  return [from, Math.min(input.length, from + length)];
}

function replace(input: Buffer, [from, to]: readonly [number, number], by: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, from), by, input.subarray(to)]);
}

const MUTATIONS: readonly Mutation[] = [
  (input, random) => {
    const changed = Buffer.from(input);
    if (changed.length > 0) changed[random.between(0, changed.length - 1)]! ^= 1 << random.between(0, 7);
    return changed;
  },
  (input, random) => {
    const changed = Buffer.from(input);
    if (changed.length > 0) changed[random.between(0, changed.length - 1)] = random.between(0, 255);
    return changed;
  },
  (input, random) => replace(input, rangeOf(input, random), Buffer.alloc(0)),
  (input, random) => replace(input, rangeOf(input, random), random.pick(PARTS)),
  (input, random) => {
    const at = random.between(0, input.length);
    return replace(input, [at, at], random.pick(PARTS));
  },
  (input, random) => {
    const [from, to] = rangeOf(input, random);
    return replace(input, [to, to], Buffer.concat(Array(random.between(1, 50)).fill(input.subarray(from, to))));
  },
  (input, random, other) => replace(input, rangeOf(input, random), other.subarray(...rangeOf(other, random))),
  (input, random) => input.subarray(0, random.between(0, input.length)),
  // A number becomes another one, in text.
  (input, random) => {
    const numbers = [...input.toString('latin1').matchAll(/\d+/g)];
    if (numbers.length === 0) return input;
    const { index, 0: found } = random.pick(numbers);
    return replace(
      input,
      [index, index + found.length],
      Buffer.from(random.pick(['0', '-1', '4294967296', '1e9', '0.5'])),
    );
  },
];

/** A changed copy of one of the inputs. */
export function mutate(inputs: readonly Buffer[], random: SeededRandom): Buffer {
  let input = random.pick(inputs);
  for (let left = random.between(1, 6); left > 0; left--) {
    input = random.pick(MUTATIONS)(input, random, random.pick(inputs)).subarray(0, MAX_INPUT_BYTES);
  }
  return Buffer.from(input);
}

import fc from 'fast-check';

/** Lines that are JSON objects, with one character per byte, and now and then spaces and numbers beyond 2^53. */
export function objectLine(): fc.Arbitrary<string> {
  const value = fc.jsonValue({ maxDepth: 2 }).map((each) => JSON.stringify(each));
  const member = fc.tuple(
    fc.constantFrom('"a":', '"é" : ', '"msg":'),
    fc.oneof(value, fc.constant('9007199254740993')),
  );
  return fc
    .array(member, { maxLength: 3 })
    .map((members) => Buffer.from(`{${members.map((each) => each.join('')).join(',')}}`).toString('latin1'));
}

/**
 * Reporter of node:test for `run-tests.js`: one JSON line `{ outcome, name }` per test that ended, suites left out.
 *
 * @param {AsyncIterable<{ type: string, data: any }>} events of the runner, see "Custom reporters" in Node's manual
 */
export default async function* reportCounts(events) {
  for await (const { type, data } of events) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.details?.type === 'suite') continue;
    let outcome = type === 'test:pass' ? 'passed' : 'failed';
    if (data.skip !== undefined) outcome = 'skipped';
    if (data.todo !== undefined) outcome = 'todo';
    // Node reports a file in which nothing was tested as a test of the file's name that passed.
    if (data.nesting === 0 && data.name === data.file && outcome === 'passed') outcome = 'empty';
    yield `${JSON.stringify({ outcome, name: data.name })}\n`;
  }
}

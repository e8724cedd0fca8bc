import assert from 'node:assert/strict';
import test from 'node:test';
import { codeOf, findImports } from './imports.ts';

function specifiers(source: string) {
  return findImports(source).map(({ specifier, typeOnly }) => (typeOnly ? `type ${specifier}` : specifier));
}

test('static imports of every form are found', () => {
  const source = `
    import 'a';
    import b from "b";
    import * as c from 'c';
    import d, { e as f } from 'd';
    import {
      g,
      type h,
    } from './g.ts';
    export * from 'i';
    export { j } from 'j';
    export const k = 'not an import';
    export type K = 'neither';
  `;
  assert.deepEqual(specifiers(source), ['a', 'b', 'c', 'd', './g.ts', 'i', 'j']);
});

test('type imports are marked', () => {
  const source = `
    import type { A } from 'a';
    export type { B } from 'b';
    export type * from 'c';
    let port: import('node:worker_threads').MessagePort;
  `;
  assert.deepEqual(specifiers(source), ['type a', 'type b', 'type c', 'type node:worker_threads']);
});

test('dynamic imports are found, with any quotes, and are no types', () => {
  const source = "await import('a'); import(`b`).then(run); (await import(\n'c'\n)).Thing; x.import('d');";
  assert.deepEqual(specifiers(source), ['a', 'b', 'c']);
});

test('imports in comments and strings are none', () => {
  const source = `
    // import 'a';
    /* import b from 'b'; */
    const s = "import 'c'";
    const t = \`import('d')\`;
    import 'e';
  `;
  assert.deepEqual(specifiers(source), ['e']);
});

test('code is what is left without comments and strings', () => {
  const code = codeOf("a('console.log'); // console.log\n/* console.log */ b();");
  assert.match(code, /a\(/);
  assert.match(code, /b\(\)/);
  assert.doesNotMatch(code, /console/);
});

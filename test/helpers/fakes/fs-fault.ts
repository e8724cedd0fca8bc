import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

type Replaceable = 'openSync' | 'readFileSync' | 'readSync' | 'watch';

/** Has a function of `node:fs` replaced, for imports by name, too, until the test has ended. */
export function replaceFs<Name extends Replaceable>(
  t: TestContext,
  name: Name,
  replace: (real: (typeof fs)[Name]) => (...args: never[]) => unknown,
): void {
  const { mock } = t.mock.method(fs, name, replace(fs[name]) as never);
  syncBuiltinESMExports();
  t.after(() => {
    mock.restore();
    syncBuiltinESMExports();
  });
}

/**
 * Lets a function of `node:fs` fail with that code, until the test has ended.
 *
 * @param isMeant whether a call with that path fails; all do by default
 */
export function failFs(
  t: TestContext,
  name: Replaceable,
  code: string,
  isMeant: (path: unknown) => boolean = () => true,
): void {
  replaceFs(t, name, (real) => (...args: unknown[]) => {
    if (isMeant(args[0])) throw Object.assign(new Error(`${code}: a fault that was injected`), { code });
    return (real as (...args: unknown[]) => unknown)(...args);
  });
}

import { isSource } from '../../../src/lib/package-info.ts';

/** Options of Node for a program in TypeScript. It uses what the test uses: the sources, or the build. */
export const TYPESCRIPT_OPTIONS: readonly string[] = [
  '--import',
  import.meta.resolve('tsx'),
  ...(isSource ? [] : ['--import', import.meta.resolve('../../../scripts/test/use-build.js')]),
];

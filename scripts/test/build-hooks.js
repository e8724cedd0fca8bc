/** Hooks of Node's module loader for `use-build.js`, synchronous or not, as the next hook is. */
import { readFileSync } from 'node:fs';

const root = new URL('../..', import.meta.url).href;
const build = `${root}dist/`;
const sources = [`${root}src/`, `${root}workers/`];

export function resolve(specifier, context, next) {
  const result = next(specifier, context);
  return result instanceof Promise ? result.then(redirect) : redirect(result);
}

function redirect(result) {
  const [url] = result.url.split('?');
  if (!url.endsWith('.ts') || !sources.some((folder) => url.startsWith(folder))) return result;
  return { url: `${build}${url.slice(root.length, -'.ts'.length)}.js`, format: 'module', shortCircuit: true };
}

export function load(url, context, next) {
  if (!url.startsWith(build)) return next(url, context);
  return { format: 'module', source: readFileSync(new URL(url)), shortCircuit: true };
}

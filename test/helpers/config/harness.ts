/** Shared parts of the config tests: a host of known size, and the problems of a text. */
import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/config/load.ts';
import type { ConfigProblem } from '../../../src/config/problems.ts';
import { MonocoreError } from '../../../src/lib/errors.ts';
import type { Config, Service } from '../../../src/protocol/service.ts';

/** A host whose limits do not depend on where the tests run. */
export const HOST = { cpus: 4, ramMib: 4096 };

/** Parses as if the text stood in `/etc/demo/monocore.toml`. */
export function parse(text: string): Config {
  return parseConfig(text, '/etc/demo/monocore.toml', HOST);
}

/** The one service of a config with these lines below `name` and `command`. */
export function parseService(...lines: string[]): Service {
  return parse(serviceText(...lines)).services[0]!;
}

/** A service whose further keys start on line 4. */
export function serviceText(...lines: string[]): string {
  return ['[[service]]', 'name = "web"', 'command = "/bin/sh"', ...lines, ''].join('\n');
}

/** The problems of a ConfigInvalid error; fails on any other error. */
export function detailsOf(error: unknown): readonly ConfigProblem[] {
  assert.ok(error instanceof MonocoreError, String(error));
  assert.equal(error.code, 'ConfigInvalid');
  assert.ok(Array.isArray(error.details) && error.details.length > 0);
  return error.details;
}

/** The problems of a text that must not be valid. */
export function problemsOf(text: string): readonly ConfigProblem[] {
  try {
    parse(text);
  } catch (error) {
    return detailsOf(error);
  }
  assert.fail(`no problem was found in:\n${text}`);
}

/** Each problem as `line:column path: message`. */
export function shortProblems(text: string): string[] {
  return problemsOf(text).map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

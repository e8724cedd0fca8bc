/** Parsing of a text in each of the languages that a config may be written in. */
import { extname } from 'node:path';
import { configInvalid, toConfigProblem } from '../problems.ts';
import { parseJson } from './json.ts';
import { Lines } from './positions.ts';
import { ConfigSyntaxError, type Document } from './syntax.ts';
import { parseToml } from './toml.ts';
import { parseYaml } from './yaml.ts';

type Parser = (text: string) => Document;

const PARSERS: ReadonlyMap<string, readonly [language: string, parse: Parser]> = new Map([
  ['.toml', ['TOML', parseToml]],
  ['.yaml', ['YAML', parseYaml]],
  ['.yml', ['YAML', parseYaml]],
  ['.json', ['JSON', parseJson]],
]);

/** Extensions of files that can be read: `.toml` and so on. */
export const EXTENSIONS: readonly string[] = [...PARSERS.keys()];

/**
 * Parses a document in the language of the file's extension, by default TOML. Throws `ConfigInvalid` with the problem at
 * which the parser gave up. Pure.
 */
export function parseDocument(file: string, text: string): Document {
  const [language, parse] = PARSERS.get(extname(file)) ?? PARSERS.get('.toml')!;
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof ConfigSyntaxError)) throw error;
    const message = `not ${language}: ${error.message}`;
    throw configInvalid(file, [toConfigProblem(file, new Lines(text), error.span, '', message, null)]);
  }
}

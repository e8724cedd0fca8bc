/**
 * Where in the file a fault is. The document is parsed a second time for it, by a parser that keeps positions; that
 * happens only when there is something to report.
 */
import { type AST, parseTOML } from 'toml-eslint-parser';
import { type Fault, formatPath, type Path } from './fault.ts';
import type { Problem } from './problem.ts';

/** Longest path that is looked up. A fault has five parts at most (`service[0].healthcheck.exec[0]`). */
const MAX_PATH_PARTS = 8;

/** Where a path stands. Lines from 1, columns from 0, as the parser counts. */
interface Place {
  readonly key: AST.Position;
  readonly value: AST.Position;
}

/** Places by the JSON of their path. */
type Places = Map<string, Place>;

/**
 * Problems in order of position. A path that the file does not have (a missing key) is reported at the innermost table
 * around it that does.
 */
export function locate(file: string, text: string, faults: readonly Fault[]): Problem[] {
  const places = findPlaces(text);
  const lines = splitLines(text);
  const problems = faults.map(({ path, at, message, expected }) => {
    const { line, column } = findPlace(places, path, at);
    const source = lines[line - 1] ?? '';
    return { file, line, column: column + 1, path: formatPath(path), message, expected, source };
  });
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** The lines of a text, without their ends (LF or CRLF, TOML 1.0 knows no other). */
export function splitLines(text: string): string[] {
  return text.split(/\r?\n/);
}

function findPlace(places: Places, path: Path, at: Fault['at']): AST.Position {
  const exact = places.get(JSON.stringify(path));
  if (exact !== undefined) return exact[at];
  for (let length = path.length - 1; length > 0; length -= 1) {
    const around = places.get(JSON.stringify(path.slice(0, length)));
    if (around !== undefined) return around.value;
  }
  return { line: 1, column: 0 };
}

/** Empty where the second parser does not take what the first one took: the paths alone must do then. */
function findPlaces(text: string): Places {
  const places: Places = new Map();
  try {
    for (const node of parseTOML(text).body[0].body) {
      if (node.type === 'TOMLTable') addTable(places, node);
      else addKeyValue(places, [], node);
    }
  } catch {
    places.clear();
  }
  return places;
}

/** The first place wins: `service` is where the first `[[service]]` stands. */
function addPlace(places: Places, path: Path, key: AST.Position, value: AST.Position): void {
  const id = JSON.stringify(path);
  if (!places.has(id)) places.set(id, { key, value });
}

function addTable(places: Places, node: AST.TOMLTable): void {
  let keyIndex = -1;
  for (const [index, part] of node.resolvedKey.slice(0, MAX_PATH_PARTS).entries()) {
    // Indexes of arrays of tables are in the resolved key but not in what was written.
    if (typeof part === 'string') keyIndex += 1;
    const key = node.key.keys[keyIndex] ?? node.key;
    addPlace(places, node.resolvedKey.slice(0, index + 1), key.loc.start, node.loc.start);
  }
  for (const child of node.body) addKeyValue(places, node.resolvedKey, child);
}

function addKeyValue(places: Places, base: Path, node: AST.TOMLKeyValue): void {
  const room = MAX_PATH_PARTS - base.length;
  if (room <= 0) return;
  const path = [...base];
  for (const key of node.key.keys.slice(0, room)) {
    path.push(key.type === 'TOMLBare' ? key.name : key.value);
    const isLast = key === node.key.keys.at(-1);
    addPlace(places, path, key.loc.start, isLast ? node.value.loc.start : key.loc.start);
  }
  if (node.key.keys.length <= room) addContent(places, path, node.value);
}

function addContent(places: Places, path: Path, node: AST.TOMLContentNode): void {
  if (path.length >= MAX_PATH_PARTS) return;
  if (node.type === 'TOMLInlineTable') {
    for (const child of node.body) addKeyValue(places, path, child);
  } else if (node.type === 'TOMLArray') {
    for (const [index, element] of node.elements.entries()) {
      const elementPath = [...path, index];
      addPlace(places, elementPath, element.loc.start, element.loc.start);
      addContent(places, elementPath, element);
    }
  }
}

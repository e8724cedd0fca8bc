/** Finds what a TypeScript file imports, for the architecture test. */

/** An import of a file. */
interface Import {
  /** As written: `./logs.ts`, `node:fs`. */
  readonly specifier: string;
  /** `import type …`, `export type … from` or a type like `import('x').Y`: gone once compiled. */
  readonly typeOnly: boolean;
}

/**
 * Tokens that the scan tells apart, first match first: `import('…')`, import and re-export statements, and text that only
 * looks like code: comments and strings.
 *
 * A name in capitals straight after `import('…')` makes it a type: a promise has no such member.
 */
const TOKEN = new RegExp(
  [
    /(?<![.\w$])import\s*\(\s*(['"`])(?<dynamic>[^'"`\n]+)\1[\s,]*\)(?<member>\.[A-Z])?/,
    /(?<![.\w$])(?:import|export)\s+(?<type>type\s+)?(?:[\w$*{][^;'"`()=]*?\s*from\s*)?(?<quote>['"])(?<from>[^'"\n]+)\k<quote>/,
    /\/\/.*|\/\*[\s\S]*?\*\//,
    /`(?:\\[\s\S]|[^\\`])*`|'(?:\\.|[^\\'\n])*'|"(?:\\.|[^\\"\n])*"/,
  ]
    .map((part) => part.source)
    .join('|'),
  'g',
);

/** Every import in `source`, static and dynamic, in order. A dynamic one whose name is computed is not seen. */
export function findImports(source: string): Import[] {
  return [...source.matchAll(TOKEN)].flatMap(({ groups = {} }) => {
    if (groups.dynamic) return [{ specifier: groups.dynamic, typeOnly: groups.member !== undefined }];
    if (groups.from) return [{ specifier: groups.from, typeOnly: groups.type !== undefined }];
    return [];
  });
}

/** `source` without what is in comments and strings. */
export function codeOf(source: string): string {
  return source.replace(TOKEN, ' ');
}

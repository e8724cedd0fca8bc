/** What a registry wants to see, RFC 9110 section 11.6.1 and the token specification of the distribution project. */

/** One challenge of a `WWW-Authenticate` header. */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names are lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const SCHEME = /\s*,*\s*([A-Za-z][\w!#$%&'*+.^`|~-]*)(?:\s+|\s*$|\s*,)/y;
const PARAMETER = /\s*,?\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;

/** Parses the header; what makes no sense ends it. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(header);
    if (found) at = pattern.lastIndex;
    return found;
  };
  for (let scheme = match(SCHEME); scheme; scheme = match(SCHEME)) {
    const parameters: Record<string, string> = {};
    for (let found = match(PARAMETER); found; found = match(PARAMETER)) {
      parameters[found[1]!.toLowerCase()] = found[2]?.replace(/\\(.)/g, '$1') ?? found[3]!;
    }
    challenges.push({ scheme: scheme[1]!.toLowerCase(), parameters });
  }
  return challenges;
}

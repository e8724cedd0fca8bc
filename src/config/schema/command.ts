/** Command of a service as words: a string is split as a shell would split it, an array is taken unchanged. */
import * as v from 'valibot';
import { Argument, mustBe, orWholeNumber, Printable, type Problem, parsed, type Schema, scalar } from './values.ts';

const TEXT = parsed(Printable, splitWords);
const ARRAY = v.array(orWholeNumber(Argument), mustBe('a string or an array')) as Schema<string[]>;
const WORDS = parsed(ARRAY, (words) => (/\S/.test(words[0] ?? '') ? words : { problem: 'must begin with a program' }));

export const Command = scalar<string[]>(
  v.lazy((input) => (typeof input === 'string' ? TEXT : WORDS)) as Schema<string[]>,
  'a program such as "/bin/sh"',
  {
    print: (program: string) => (/[\s'"\\]/.test(program) ? [program] : program),
    json: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: ['string', 'integer'] } }] },
  },
);

/** Part of a word: in single quotes, in double quotes, or bare; a backslash escapes the next character. */
const PIECE = /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^\s'"\\]+)/sy;

/** Splits a text into words by the quoting rules of POSIX sh, section 2.2; nothing is expanded. */
function splitWords(text: string): string[] | Problem {
  const words: string[] = [];
  let at = 0;
  let word: string | null = null;
  while (at < text.length) {
    PIECE.lastIndex = at;
    const found = PIECE.exec(text);
    if (found) {
      const [piece, single, double, escaped, bare] = found;
      word = (word ?? '') + (single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? bare ?? '');
      at += piece.length;
      continue;
    }
    if (text[at] === '\\') return { problem: 'ends in a backslash' };
    if (!/\s/.test(text[at]!)) return { problem: 'has a quote without its end' };
    if (word !== null) words.push(word);
    word = null;
    at += 1;
  }
  if (word !== null) words.push(word);
  return words[0] === '' ? { problem: 'must begin with a program' } : words;
}

/** What the parsers of the languages have in common. */
import type { Places, Span } from '../positions.ts';
import type { Table } from './value.ts';

/** Deepest nesting of arrays and tables. A config needs three; the limit keeps recursion off the stack's end. */
export const MAX_DEPTH = 64;

/** What a text says, whatever its language. */
export interface Document {
  /** Tables in it have no prototype. */
  readonly table: Table;
  /** Asked for only when there is something to report. */
  readonly findPlaces: () => Places;
}

/** What a parser throws: the first thing that it did not understand. */
export class SyntaxFault extends Error {
  readonly span: Span;

  constructor(span: Span, message: string) {
    super(message);
    this.span = span;
  }
}

/** Suggestions for misspelled words. */
import { distance } from 'fastest-levenshtein';

/**
 * Candidate that `word` is most likely a misspelling of; null if none is close. Close means at most one edit per three
 * characters, at least one, but fewer than the word has characters; an edit inserts, deletes or replaces a character or
 * swaps two neighbours. Case is ignored. Of equally close candidates the first wins. Pure.
 */
export function closest(word: string, candidates: Iterable<string>): string | null {
  const wanted = [...word.toLowerCase()];
  let best: string | null = null;
  let bestEdits = Math.min(wanted.length, Math.max(1, Math.floor(wanted.length / 3)) + 1);
  for (const candidate of candidates) {
    // The difference in length is a lower bound for the number of edits and saves comparing most candidates.
    const characters = [...candidate.toLowerCase()];
    if (Math.abs(characters.length - wanted.length) >= bestEdits) continue;
    const edits = countEdits(wanted, characters);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** `; did you mean "web"?`, to append to a message about an unknown word; empty if no candidate is close. Pure. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = closest(word, candidates);
  return meant === null ? '' : `; did you mean ${JSON.stringify(meant)}?`;
}

/**
 * Levenshtein distance in characters, except that words that differ in one swapped pair of neighbours are one edit apart,
 * not two.
 */
function countEdits(left: readonly string[], right: readonly string[]): number {
  // The package compares UTF-16 code units, of which some characters have two: each character gets a unit of its own.
  const units = new Map<string, string>();
  const encode = (characters: readonly string[]): string =>
    characters
      .map((character) => {
        const unit = units.get(character) ?? String.fromCharCode(units.size);
        units.set(character, unit);
        return unit;
      })
      .join('');
  const edits = distance(encode(left), encode(right));
  if (edits !== 2 || left.length !== right.length) return edits;
  const at = left.findIndex((character, index) => character !== right[index]);
  const swapped = [...left.slice(0, at), left[at + 1], left[at], ...left.slice(at + 2)];
  return swapped.every((character, index) => character === right[index]) ? 1 : edits;
}

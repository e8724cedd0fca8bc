/** Suggestions for misspelled words. */
import { distance } from 'fastest-levenshtein';

/**
 * The candidate that `word` is most likely a misspelling of, or null where none comes near. Near is one edit for every
 * three characters, at least one, but never as many as the word has; an edit adds, drops or changes a character or
 * swaps two neighbours. Case is ignored. Of equally near candidates the first wins. Pure.
 */
export function closest(word: string, candidates: Iterable<string>): string | null {
  const wanted = word.toLowerCase();
  let best: string | null = null;
  let bestEdits = Math.min(wanted.length, Math.max(1, Math.floor(wanted.length / 3)) + 1);
  for (const candidate of candidates) {
    // The difference in length is the least number of edits; it spares most candidates the comparison.
    if (Math.abs(candidate.length - wanted.length) >= bestEdits) continue;
    const edits = countEdits(wanted, candidate.toLowerCase());
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** `; did you mean "web"?` behind a message on an unknown word; empty where no candidate comes near. Pure. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = closest(word, candidates);
  return meant === null ? '' : `; did you mean ${JSON.stringify(meant)}?`;
}

/** Levenshtein's distance; a word that differs by one pair of swapped neighbours is one edit away, not two. */
function countEdits(left: string, right: string): number {
  const edits = distance(left, right);
  if (edits !== 2 || left.length !== right.length) return edits;
  const at = [...left].findIndex((character, index) => character !== right[index]);
  const swapped = `${left.slice(0, at)}${left[at + 1]}${left[at]}${left.slice(at + 2)}`;
  return swapped === right ? 1 : edits;
}

/* Words: texts with a zero byte behind each, `key=value`. */
#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

struct words {
  const char *text;
  size_t bytes;
};

/* True for whole words: nothing, or something with a zero at its end. */
int are_words(struct words words);

/* Value of the first word with the key behind `after`, which is such a value or null to begin with; null for none. */
const char *next_value(struct words words, const char *key, const char *after);

/* Value of the first word with the key; null for none. */
const char *first_value(struct words words, const char *key);

/* Reads a decimal number of at most `most`; returns 0 for any other text. */
int read_number(const char *text, unsigned long most, unsigned long *number);

/* A text in fixed room, which is cut where it does not fit. All zero is an empty one. */
struct text {
  char at[512];
  size_t bytes;
};

void add(struct text *text, const char *more);
void add_number(struct text *text, unsigned long number);

#endif

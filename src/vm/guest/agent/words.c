#include "words.h"
#include <string.h>

int are_words(struct words words) { return words.bytes == 0 || words.text[words.bytes - 1] == 0; }

const char *next_value(struct words words, const char *key, const char *after) {
  const char *end = words.text + words.bytes;
  size_t key_bytes = strlen(key);
  for (const char *word = after ? after + strlen(after) + 1 : words.text; word < end; word += strlen(word) + 1)
    if (strncmp(word, key, key_bytes) == 0 && word[key_bytes] == '=') return word + key_bytes + 1;
  return NULL;
}

const char *first_value(struct words words, const char *key) { return next_value(words, key, NULL); }

int read_number(const char *text, unsigned long most, unsigned long *number) {
  unsigned long value = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    unsigned long digit = (unsigned long)(*at - '0');
    if (digit > most || value > (most - digit) / 10) return 0;
    value = value * 10 + digit;
  }
  if (at == text || *at) return 0;
  *number = value;
  return 1;
}

void add(struct text *text, const char *more) {
  for (; *more && text->bytes < sizeof text->at - 1; more++) text->at[text->bytes++] = *more;
  text->at[text->bytes] = 0;
}

void add_number(struct text *text, unsigned long number) {
  char digits[24];
  char *at = digits + sizeof digits;
  *--at = 0;
  do *--at = (char)('0' + number % 10);
  while (number /= 10);
  add(text, at);
}

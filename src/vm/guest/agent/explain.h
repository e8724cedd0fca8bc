/* Reasons why a program could not be executed. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "words.h"

/* Statuses of env(1) for a command that was not run. */
enum { CANNOT_RUN = 126, NOT_FOUND = 127 };

/* True for a program, as against a script. */
int is_elf(const char *path);

/* Adds the reason for the error of execve(2), for people; returns the status. `name` is what the program was asked for as. */
int explain_exec(const char *path, const char *name, int error, struct text *why);

#endif

/* Commands in the guest: the job, and what runs beside it. */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <sys/types.h>
#include "words.h"

struct launch {
  /* Words of the command: `arg`, and what replaces words of the job: `env`, `workdir`, `user`. */
  struct words own;
  /* Words of the job; the same ones for the job itself. */
  struct words job;
  /* Standard input, output and errors. */
  int streams[3];
  /* True for the job, which begins the namespaces that all others enter. */
  int is_job;
  /* True when the streams are a terminal, which the command shall control. */
  int is_terminal;
};

/*
 * Starts a command as a session of its own. Returns its pid, or -1 with errno, and a descriptor in `report`: it ends
 * without a byte when the command runs, and otherwise has a status as of env(1) and a reason.
 */
pid_t launch(const struct launch *launch, int *report);

/* Lets the commands to come enter the namespaces of the job. Returns -1 with errno. */
int enter_job(pid_t job);

/* Does a task in a process that sees the files of the job. Returns its pid, or -1 with errno. */
pid_t run_beside_job(void (*task)(void));

#endif

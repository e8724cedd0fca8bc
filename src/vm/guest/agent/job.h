/* The job: the command of the service, its output and its end. */
#ifndef JOB_H
#define JOB_H

#include <sys/types.h>
#include "frames.h"
#include "words.h"

/* Opens the ports of the output and of the exit record. */
void open_job_ports(void);

/* Words of the job; empty before it has come. */
struct words job_words(void);

/* True while the command runs. */
int is_job_running(void);

/* True from the moment on when the kernel begins to kill what runs beside the command. */
int is_job_ending(void);

/* Takes the words of a job that has not begun. */
void take_job(const struct message *message);
void take_secret(const struct message *message);
void take_names(const struct message *message);
void start_job(void);
void signal_job(int signal);

/* Writes a marker to both streams, behind all output of the job. */
void drain_job(const struct message *message);

/* Tells a daemon that has just come the state. */
void tell_state(void);

/* Takes the end of a process; 0 where it was not the job. */
int reap_job(pid_t pid, int status);

#endif

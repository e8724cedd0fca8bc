/* What the daemon does in the guest beside the job, each in a session: probes, commands and connections. */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stdint.h>
#include <sys/types.h>
#include "frames.h"

/* Takes a message of a session. */
void take_session_message(const struct message *message);

/* Ends all sessions: their daemon is gone. */
void end_sessions(void);

/* Takes the end of a process. */
void reap_session(pid_t pid, int status);

/* Goes on with sessions that waited for room in the control port, and with those whose time is up. */
void pump_sessions(void);

/* Time of the next deadline; -1 for none. */
int64_t next_deadline_ms(void);

#endif

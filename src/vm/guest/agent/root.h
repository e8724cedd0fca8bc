/* Root of the job, with what is mounted in it. */
#ifndef ROOT_H
#define ROOT_H

#include "words.h"

/* Path of the root, whose place it has in the mounts of the agent: `/` or `/newroot`. */
extern const char *root_path;
/* Its folder, while the agent has it; -1 before and later. */
extern int root_fd;

/* Makes a file of a secret, which is memory that no disk gets, for its user alone. */
int keep_secret(const char *name, const unsigned char *content, size_t bytes);

/* Forgets the secrets: the job is sent anew. */
void drop_secrets(void);

/* Sets up the root that the job asks for. Returns 0 with the reason in `why`. */
int set_root(struct words job, struct text *why);

/* Lets go of what the job has in its own mount namespace: what it unmounts there is gone. */
void leave_root(struct words job);

#endif

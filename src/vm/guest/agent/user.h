/* Users and groups of the service, looked up as container runtimes do. */
#ifndef USER_H
#define USER_H

#include <stddef.h>
#include "words.h"

enum { MAX_GROUPS = 1024 };

struct user {
  unsigned uid, gid;
  /* Supplementary groups; the group itself is the first. */
  unsigned groups[MAX_GROUPS];
  size_t group_count;
  /* Cut where it is longer. */
  char home[4096];
};

/*
 * Looks up `user`, `user:group` or numbers (image-spec, config.md) in the content of /etc/passwd and of /etc/group, each
 * null where there is none. As with runc, a number needs no entry, a user without one has the group 0 and the home `/`,
 * and only a user without a group has supplementary groups.
 *
 * Returns 0 with the reason in `why`.
 */
int find_user(const char *spec, const char *passwd, const char *group, struct user *user, struct text *why);

#endif

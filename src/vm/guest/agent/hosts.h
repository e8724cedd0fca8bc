/* Names of other machines, in /etc/hosts of the root. */
#ifndef HOSTS_H
#define HOSTS_H

#include <stddef.h>

/*
 * Content of /etc/hosts: the names between two marker lines, which replace those of an earlier time, and behind them what
 * `old` had besides, null for nothing. They come first, so that they win. The caller frees it; null without memory.
 */
char *render_hosts(const char *names, const char *old);

/* Writes the names into a root. A file or folder that is a volume stays as it is, because it is one of the host. */
void write_hosts(int root, const char *names);

#endif

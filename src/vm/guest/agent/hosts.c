#define _GNU_SOURCE
#include "hosts.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "files.h"

static const char BEGIN[] = "# monocore: the group\n", END[] = "# monocore: end\n";
enum { MAX_OLD_BYTES = 1 << 20 };

char *render_hosts(const char *names, const char *old) {
  char *content = malloc(sizeof BEGIN + strlen(names) + sizeof END + (old ? strlen(old) : 0));
  if (!content) return NULL;
  strcpy(content, BEGIN);
  strcat(content, names);
  strcat(content, END);
  char *at = content + strlen(content);
  int ours = 0;
  while (old && *old) {
    size_t bytes = strcspn(old, "\n");
    bytes += old[bytes] != 0;
    if (strncmp(old, BEGIN, bytes) == 0 && bytes == sizeof BEGIN - 1) ours = 1;
    if (!ours) {
      memcpy(at, old, bytes);
      at += bytes;
    }
    if (strncmp(old, END, bytes) == 0 && bytes == sizeof END - 1) ours = 0;
    old += bytes;
  }
  *at = 0;
  return content;
}

void write_hosts(int root, const char *names) {
  int made = make_folder(root, "/etc", 0755);
  if (made >= 0) close(made);
  int etc = open_same_mount(root, "/etc", O_PATH | O_DIRECTORY);
  if (etc < 0) return;
  /* Also a link to a file elsewhere is replaced: only what is mounted on the name itself is left alone. */
  int mounted = open_same_mount(etc, "hosts", O_PATH | O_NOFOLLOW);
  int missing = mounted < 0 && faccessat(etc, "hosts", F_OK, AT_SYMLINK_NOFOLLOW) < 0;
  if (mounted >= 0 || missing) {
    char *old = NULL;
    int file = open_inside(root, "/etc/hosts", O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (file >= 0) {
      old = read_text(AT_FDCWD, path_of(file), MAX_OLD_BYTES);
      close(file);
    }
    char *content = render_hosts(names, old);
    if (content) replace_file(etc, "hosts", content, strlen(content));
    free(content);
    free(old);
  }
  if (mounted >= 0) close(mounted);
  close(etc);
}

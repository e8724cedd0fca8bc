#define _GNU_SOURCE
#include "files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "words.h"

enum { MAX_LINKS = 16, MAX_DEPTH = 32 };

int write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = write(fd, text, strlen(text));
  close(fd);
  return written < 0 ? -1 : 0;
}

char *read_text(int dir, const char *path, size_t most) {
  /* What is no regular file could keep its reader waiting. */
  int fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat stats;
  char *text = NULL;
  if (fd < 0) return NULL;
  if (fstat(fd, &stats) == 0 && S_ISREG(stats.st_mode)) {
    /* Files of the kernel have no size. */
    size_t room = stats.st_size > 0 && (size_t)stats.st_size < most ? (size_t)stats.st_size : most, have = 0;
    text = malloc(room + 1);
    while (text && have < room) {
      ssize_t bytes = read(fd, text + have, room - have);
      if (bytes <= 0) break;
      have += (size_t)bytes;
    }
    if (text) text[have] = 0;
  }
  close(fd);
  return text;
}

static int open_resolved(int root, const char *path, int flags, unsigned long resolve) {
  struct open_how how = {
    .flags = (unsigned long)flags | O_CLOEXEC,
    .mode = flags & O_CREAT ? 0644 : 0,
    .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
  };
  return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

int open_inside(int root, const char *path, int flags) { return open_resolved(root, path, flags, 0); }

int open_same_mount(int root, const char *path, int flags) { return open_resolved(root, path, flags, RESOLVE_NO_XDEV); }

const char *path_of(int fd) {
  static struct text path;
  path.bytes = 0;
  add(&path, "/proc/self/fd/");
  add_number(&path, (unsigned long)fd);
  return path.at;
}

/* Makes the folder that `path` names, whose parent is there; a link to nothing leads to one that is made. */
static int make_last(int root, const char *path, mode_t mode, int links) {
  char parent_path[PATH_MAX];
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  size_t parent_bytes = slash ? (size_t)(slash - path) : 0;
  memcpy(parent_path, path, parent_bytes);
  strcpy(parent_path + parent_bytes, "/");
  int parent = open_inside(root, parent_path, O_PATH | O_DIRECTORY);
  if (parent < 0) return -1;
  int result = mkdirat(parent, name, mode);
  if (result < 0 && errno == EEXIST && links < MAX_LINKS) {
    char target[2 * PATH_MAX];
    size_t before = strlen(parent_path);
    memcpy(target, parent_path, before);
    ssize_t bytes = readlinkat(parent, name, target + before, PATH_MAX - before - 1);
    if (bytes > 0) {
      target[before + (size_t)bytes] = 0;
      close(parent);
      /* A link to a folder whose parents are missing, too, is one that nothing can be mounted on. */
      return make_last(root, target[before] == '/' ? target + before : target, mode, links + 1);
    }
  }
  close(parent);
  return result;
}

int make_folder(int root, const char *path, mode_t mode) {
  char part[PATH_MAX];
  size_t bytes = strlen(path);
  if (bytes >= sizeof part) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int fd = open_inside(root, path, O_PATH | O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  for (size_t at = 1; at <= bytes; at++) {
    if (path[at] != '/' && path[at] != 0) continue;
    memcpy(part, path, at);
    part[at] = 0;
    int found = open_inside(root, part, O_PATH | O_DIRECTORY);
    if (found >= 0) close(found);
    else if (errno != ENOENT || make_last(root, part, mode, 0) < 0) return -1;
  }
  return open_inside(root, path, O_PATH | O_DIRECTORY);
}

int make_file(int root, const char *path) {
  int fd = open_inside(root, path, O_PATH);
  if (fd >= 0 || errno != ENOENT) return fd;
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  size_t bytes = slash ? (size_t)(slash - path) : 0;
  if (bytes >= sizeof parent - 1) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(parent, path, bytes);
  strcpy(parent + bytes, "/");
  int folder = make_folder(root, parent, 0755);
  if (folder < 0) return -1;
  close(folder);
  fd = open_inside(root, path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return -1;
  close(fd);
  return open_inside(root, path, O_PATH);
}

int replace_file(int folder, const char *name, const char *content, size_t bytes) {
  const char *temporary = ".monocore-new";
  unlinkat(folder, temporary, 0);
  int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return -1;
  ssize_t written = 0;
  for (size_t at = 0; at < bytes && written >= 0; at += (size_t)written) written = write(fd, content + at, bytes - at);
  fchmod(fd, 0644);
  close(fd);
  if (written >= 0 && renameat(folder, temporary, folder, name) == 0) return 0;
  int error = errno;
  unlinkat(folder, temporary, 0);
  errno = error;
  return -1;
}

static int copy_content(int from, int to, const char *name, const struct stat *stats) {
  int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (in < 0) return -1;
  int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  ssize_t bytes = out < 0 ? -1 : 1;
  while (bytes > 0) bytes = sendfile(out, in, NULL, 1 << 20);
  if (bytes == 0 && (fchown(out, stats->st_uid, stats->st_gid) < 0 || fchmod(out, stats->st_mode & 07777) < 0)) bytes = -1;
  close(in);
  if (out >= 0) close(out);
  return (int)bytes;
}

static int copy_below(int from, int to, int depth);

static int copy_folder(int from, int to, const char *name, const struct stat *stats, int depth) {
  if (mkdirat(to, name, 0700) < 0) return -1;
  int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int copy = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int result = -1;
  if (source >= 0 && copy >= 0) {
    result = copy_below(source, copy, depth + 1);
    if (fchown(copy, stats->st_uid, stats->st_gid) < 0 || fchmod(copy, stats->st_mode & 07777) < 0) result = -1;
  }
  if (source >= 0) close(source);
  if (copy >= 0) close(copy);
  return result;
}

static int copy_link(int from, int to, const char *name, const struct stat *stats) {
  char target[PATH_MAX];
  ssize_t bytes = readlinkat(from, name, target, sizeof target - 1);
  if (bytes < 0) return -1;
  target[bytes] = 0;
  if (symlinkat(target, to, name) < 0) return -1;
  return fchownat(to, name, stats->st_uid, stats->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_entry(int from, int to, const char *name, int depth) {
  struct stat stats;
  if (fstatat(from, name, &stats, AT_SYMLINK_NOFOLLOW) < 0) return -1;
  switch (stats.st_mode & S_IFMT) {
    case S_IFDIR: return copy_folder(from, to, name, &stats, depth);
    case S_IFREG: return copy_content(from, to, name, &stats);
    case S_IFLNK: return copy_link(from, to, name, &stats);
    /* A socket has nobody who listens. */
    case S_IFSOCK: return 0;
  }
  if (mknodat(to, name, stats.st_mode, stats.st_rdev) < 0) return -1;
  return fchownat(to, name, stats.st_uid, stats.st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_below(int from, int to, int depth) {
  if (depth > MAX_DEPTH) {
    errno = ELOOP;
    return -1;
  }
  DIR *dir = fdopendir(fcntl(from, F_DUPFD_CLOEXEC, 0));
  if (!dir) return -1;
  int result = 0;
  for (struct dirent *entry; result >= 0 && (entry = readdir(dir));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      result = copy_entry(from, to, entry->d_name, depth);
  closedir(dir);
  return result;
}

int copy_tree(int from, int to) { return copy_below(from, to, 0); }

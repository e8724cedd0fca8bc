/* Files, among them those of a root whose links must not lead out of it. All return -1 with errno where they fail. */
#ifndef FILES_H
#define FILES_H

#include <stddef.h>
#include <sys/types.h>

/* Writes a text to a file that exists, such as one of the kernel's. */
int write_text(const char *path, const char *text);

/* Content of a regular file as a text, at most `most` bytes of it; null where it cannot be read. The caller frees it. */
char *read_text(int dir, const char *path, size_t most);

/* As openat(2) of a path in the root that `root` is; links are followed as if it were the root of the process. */
int open_inside(int root, const char *path, int flags);

/* As `open_inside`, for what is not on another mount than the root itself. */
int open_same_mount(int root, const char *path, int flags);

/* Opens a folder of the root, which is made with all that lead to it where it is missing. */
int make_folder(int root, const char *path, mode_t mode);

/* Opens a file of the root, which is made with the folders that lead to it where it is missing. */
int make_file(int root, const char *path);

/* Replaces a file of the root; its name has no links left to follow. */
int replace_file(int folder, const char *name, const char *content, size_t bytes);

/* Copies all that is in a folder, with owners and modes. */
int copy_tree(int from, int to);

/* Path of an open file for system calls that take none; valid until the next call. */
const char *path_of(int fd);

#endif

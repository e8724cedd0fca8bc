#define _GNU_SOURCE
#include "launch.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "explain.h"
#include "files.h"
#include "root.h"
#include "user.h"

enum { MAX_FILE_BYTES = 1 << 20 };
/* Group of terminals in Debian and most distributions, as of the mounted devpts. */
enum { TERMINAL_GROUP = 5 };
/* Limits of open files as systemd has them: many programs loop over all that the soft one allows. */
enum { SOFT_FILES = 1024, HARD_FILES = 1048576 };

/* Mount namespace of the job; -1 before it runs. */
static int job_mounts = -1;
/* Where the child tells why it failed. */
static int report_fd;

static _Noreturn void fail(int status, const struct text *why) {
  struct text told = {0}, line = {0};
  char code[] = {(char)status, 0};
  add(&told, code);
  add(&told, why->at);
  write(report_fd, told.at, told.bytes);
  add(&line, "monocore: ");
  add(&line, why->at);
  add(&line, "\n");
  write(2, line.at, line.bytes);
  _exit(status);
}

static _Noreturn void fail_about(int status, const char *before, const char *what, const char *behind) {
  struct text why = {0};
  add(&why, before);
  add(&why, what);
  add(&why, behind);
  fail(status, &why);
}

/* The kernel gives a process its root in a mount namespace; the root of the job is there the root of all. */
static void begin_namespaces(void) {
  if (root_path[1] != 0 && (chdir(root_path) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0))
    fail_about(CANNOT_RUN, "the root could not be entered: ", strerror(errno), "");
  if (mount("proc", "/proc", "proc", 0, NULL) < 0)
    fail_about(CANNOT_RUN, "/proc could not be mounted: ", strerror(errno), "");
}

static size_t count_words(struct words words, const char *key) {
  size_t count = 0;
  for (const char *value = NULL; (value = next_value(words, key, value));) count++;
  return count;
}

/* Value of a variable in a list that a null ends; null where it is not set. */
static const char *variable(char **environment, const char *name, size_t bytes) {
  for (; *environment; environment++)
    if (strncmp(*environment, name, bytes) == 0 && (*environment)[bytes] == '=') return *environment + bytes + 1;
  return NULL;
}

/* Variables of the command: its own, and those of the job that it does not have. Room for two more is left. */
static char **make_environment(const struct launch *launch) {
  int has_own = launch->own.text != launch->job.text;
  size_t count = count_words(launch->job, "env") + (has_own ? count_words(launch->own, "env") : 0);
  char **environment = calloc(count + 3, sizeof *environment);
  size_t used = 0;
  if (!environment) return NULL;
  if (has_own)
    for (const char *value = NULL; (value = next_value(launch->own, "env", value));) environment[used++] = (char *)value;
  for (const char *value = NULL; (value = next_value(launch->job, "env", value));)
    if (!has_own || !variable(environment, value, strcspn(value, "="))) environment[used++] = (char *)value;
  return environment;
}

static void add_variable(char **environment, const char *name, const char *value) {
  if (variable(environment, name, strlen(name))) return;
  while (*environment) environment++;
  char *text = malloc(strlen(name) + strlen(value) + 2);
  if (!text) return;
  strcpy(text, name);
  strcat(text, "=");
  strcat(text, value);
  *environment = text;
}

/* A word of the command itself, or that of the job. */
static const char *word_of(const struct launch *launch, const char *key) {
  const char *own = first_value(launch->own, key);
  return own ? own : first_value(launch->job, key);
}

/* Gives the secrets to the user of the job, who may be another than root. */
static void give_secrets(unsigned uid) {
  DIR *dir = uid == 0 ? NULL : opendir("/run/secrets");
  if (!dir) return;
  for (struct dirent *entry; (entry = readdir(dir));)
    if (strcmp(entry->d_name, "..") != 0) fchownat(dirfd(dir), entry->d_name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW);
  closedir(dir);
}

static int is_program(const char *path) {
  struct stat stats;
  return stat(path, &stats) == 0 && S_ISREG(stats.st_mode) && (stats.st_mode & 0111);
}

/* Path of the program, looked up as execvp(3) does. */
static const char *find_program(const char *name, char **environment) {
  static char path[PATH_MAX];
  struct stat stats;
  if (!strchr(name, '/')) {
    const char *folders = variable(environment, "PATH", 4);
    if (!folders || !*folders) folders = "/bin";
    for (;; folders++) {
      size_t bytes = strcspn(folders, ":");
      if (bytes + strlen(name) + 2 <= sizeof path) {
        memcpy(path, folders, bytes);
        strcpy(path + bytes, bytes ? "/" : "");
        strcat(path, name);
        if (is_program(path)) return path;
      }
      folders += bytes;
      if (!*folders) break;
    }
    fail_about(NOT_FOUND, "command not found: ", name, "");
  }
  if (stat(name, &stats) < 0 && (errno == ENOENT || errno == ENOTDIR)) fail_about(NOT_FOUND, "command not found: ", name, "");
  if (!is_program(name)) fail_about(CANNOT_RUN, "not an executable file: ", name, "");
  return name;
}

static char **make_arguments(struct words words) {
  /* One more in front, for a shell. */
  char **arguments = calloc(count_words(words, "arg") + 2, sizeof *arguments);
  size_t used = 1;
  if (!arguments) return NULL;
  for (const char *value = NULL; (value = next_value(words, "arg", value));) arguments[used++] = (char *)value;
  return arguments + 1;
}

static void become(const struct user *user) {
  if (setgroups(user->group_count, user->groups) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0)
    fail_about(CANNOT_RUN, "the user of the command cannot be set: ", strerror(errno), "");
}

static void set_limits(void) {
  struct rlimit files = {SOFT_FILES, HARD_FILES};
  setrlimit(RLIMIT_NOFILE, &files);
}

static void set_streams(const struct launch *launch) {
  for (int stream = 0; stream < 3; stream++) dup2(launch->streams[stream], stream);
  if (launch->is_terminal) ioctl(0, TIOCSCTTY, 0);
}

static void reset_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void execute(const struct launch *launch) {
  static struct user user;
  setsid();
  set_streams(launch);
  reset_signals();
  /* The agent protects itself when memory is short. */
  write_text("/proc/self/oom_score_adj", "0");
  if (launch->is_job) begin_namespaces();
  else if (setns(job_mounts, CLONE_NEWNS) < 0)
    fail_about(CANNOT_RUN, "the root of the service cannot be entered: ", strerror(errno), "");
  set_limits();

  char **environment = make_environment(launch), **arguments = make_arguments(launch->own);
  if (!environment || !arguments || !arguments[0]) fail_about(CANNOT_RUN, "the command has no words", "", "");
  const char *name = word_of(launch, "user"), *workdir = word_of(launch, "workdir");
  if (!workdir) workdir = "/";
  if (name) {
    struct text why = {0};
    char *passwd = read_text(AT_FDCWD, "/etc/passwd", MAX_FILE_BYTES), *group = read_text(AT_FDCWD, "/etc/group", MAX_FILE_BYTES);
    if (!find_user(name, passwd, group, &user, &why)) fail(CANNOT_RUN, &why);
    add_variable(environment, "HOME", user.home);
    if (launch->is_job) give_secrets(user.uid);
    int root = open("/", O_PATH | O_CLOEXEC), made = make_folder(root, workdir, 0755);
    if (made >= 0) close(made);
    close(root);
  }
  if (launch->is_terminal) {
    add_variable(environment, "TERM", "xterm");
    if (name) fchown(0, user.uid, TERMINAL_GROUP);
  }
  /* Whatever user the command has, it may open /dev/stdout. */
  if (!launch->is_terminal) for (int stream = 0; stream < 3; stream++) fchmod(stream, 0666);
  if (chdir(workdir) < 0) fail_about(CANNOT_RUN, "the working directory ", workdir, " cannot be entered");
  const char *program = find_program(arguments[0], environment);
  if (name) become(&user);
  execve(program, arguments, environment);
  int error = errno;
  if (error == ENOEXEC && !is_elf(program)) {
    /* A file of no known format is a script for /bin/sh, as in execvp(3). */
    const char *first = arguments[0];
    arguments[0] = (char *)program;
    arguments[-1] = "/bin/sh";
    execve("/bin/sh", arguments - 1, environment);
    arguments[0] = (char *)first;
  }
  struct text why = {0};
  int status = explain_exec(program, arguments[0], error, &why);
  fail(status, &why);
}

pid_t launch(const struct launch *launch, int *report) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  unsigned long flags = launch->is_job ? CLONE_NEWPID | CLONE_NEWNS | SIGCHLD : SIGCHLD;
  pid_t pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
  if (pid == 0) {
    report_fd = ends[1];
    execute(launch);
  }
  int error = errno;
  close(ends[1]);
  if (pid < 0) close(ends[0]);
  else *report = ends[0];
  errno = error;
  return pid;
}

static int open_namespace(pid_t pid, const char *name) {
  struct text path = {0};
  add(&path, "/proc/");
  add_number(&path, (unsigned long)pid);
  add(&path, "/ns/");
  add(&path, name);
  return open(path.at, O_RDONLY | O_CLOEXEC);
}

int enter_job(pid_t job) {
  int pids = open_namespace(job, "pid");
  if (job_mounts >= 0) close(job_mounts);
  job_mounts = open_namespace(job, "mnt");
  if (pids < 0 || job_mounts < 0) return -1;
  int result = setns(pids, CLONE_NEWPID);
  close(pids);
  return result;
}

pid_t run_beside_job(void (*task)(void)) {
  pid_t pid = job_mounts < 0 ? -1 : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid != 0) return pid;
  reset_signals();
  if (setns(job_mounts, CLONE_NEWNS) == 0) task();
  _exit(0);
}

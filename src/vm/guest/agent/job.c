#define _GNU_SOURCE
#include "job.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control.h"
#include "files.h"
#include "hosts.h"
#include "launch.h"
#include "loop.h"
#include "machine.h"
#include "root.h"

/* A tool that could not run the command for a reason of its own has this status. */
enum { CANNOT_START = 125 };
enum { MAX_MARKER_BYTES = 256 };

/* A stream of the job on its way to its port. */
struct relay {
  struct watch watch;
  int pipe, port;
  char marker[MAX_MARKER_BYTES];
  size_t marker_bytes;
};

static void on_relay(struct watch *watch);

static struct relay relays[2] = {{.watch = {on_relay}, .pipe = -1}, {.watch = {on_relay}, .pipe = -1}};
static int exit_port;
static enum { WAITS, STARTS, RUNS, HAS_EXITED } state;
static char *words_text;
static struct words words;
static char *group_names;
/* Process that writes the names, 0 for none, and whether others have come meanwhile. */
static pid_t hosts_writer;
static int are_names_old;
static pid_t pid;
/* Where the child tells why it could not become the command; -1 when it has told. */
static int report = -1;
static struct watch report_watch;
/* Signal that the agent has ended the job for; 0 for none. */
static int ended_for;
static int is_ended, status, is_out_of_memory;

struct words job_words(void) { return words; }

int is_job_running(void) { return state == RUNS && !is_ended; }

int is_job_ending(void) {
  struct text path = {0};
  char program[2];
  add(&path, "/proc/");
  add_number(&path, (unsigned long)pid);
  add(&path, "/exe");
  /* A process that ends has no program any more, and is no zombie yet. */
  return is_ended || readlink(path.at, program, sizeof program) < 0;
}

/* True when a pipe has something; `is_over` tells of one that never will. A port cannot tell an empty pipe from its end. */
static int is_readable(int fd, int *is_over) {
  struct pollfd events = {fd, POLLIN, 0};
  poll(&events, 1, 0);
  *is_over = !(events.revents & POLLIN) && events.revents & (POLLHUP | POLLERR | POLLNVAL);
  return events.revents & POLLIN;
}

static void tell_exit(void) {
  unsigned char body[2] = {(unsigned char)status, (unsigned char)is_out_of_memory};
  state = HAS_EXITED;
  send_frame(EXITED, 0, body, sizeof body);
}

/* The end is told when all output of the job is in the ports. */
static void finish(void) {
  if (is_ended && state != HAS_EXITED && relays[0].pipe < 0 && relays[1].pipe < 0) tell_exit();
}

static void pump_relay(struct relay *relay) {
  int is_over = 0;
  while (relay->pipe >= 0) {
    if (is_readable(relay->pipe, &is_over)) {
      /* The pages of the pipe go to the host as they are. */
      ssize_t moved = splice(relay->pipe, NULL, relay->port, NULL, 1 << 20, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (moved > 0) continue;
      if (moved < 0 && (errno == EAGAIN || errno == EINTR)) return;
      is_over = moved < 0;
    }
    if (!is_over) return;
    close_watched(relay->pipe);
    relay->pipe = -1;
  }
  while (relay->marker_bytes > 0) {
    ssize_t written = write(relay->port, relay->marker, relay->marker_bytes);
    if (written <= 0) return;
    relay->marker_bytes -= (size_t)written;
    memmove(relay->marker, relay->marker + written, relay->marker_bytes);
  }
}

static void on_relay(struct watch *watch) {
  pump_relay((struct relay *)watch);
  finish();
}

void open_job_ports(void) {
  static const char *const names[] = {"stdout", "stderr"};
  for (int stream = 0; stream < 2; stream++) {
    relays[stream].port = open_port(names[stream]);
    watch_fd(relays[stream].port, &relays[stream].watch);
  }
  exit_port = open_port("exit");
}

void take_job(const struct message *message) {
  if (state != WAITS) return;
  char *copy = malloc(message->bytes + 1);
  struct words taken = {copy, message->bytes};
  if (!copy) return;
  memcpy(copy, message->body, message->bytes);
  if (!are_words(taken)) {
    free(copy);
    return;
  }
  free(words_text);
  drop_secrets();
  words_text = copy;
  words = taken;
}

void take_secret(const struct message *message) {
  const char *name = (const char *)message->body;
  size_t name_bytes = strnlen(name, message->bytes);
  if (state != WAITS || name_bytes == message->bytes) return;
  keep_secret(name, message->body + name_bytes + 1, message->bytes - name_bytes - 1);
}

/* Writes the names that each guest has: itself, and those of the group. */
static void write_names(void) {
  const char *name = first_value(words, "hostname"), *ip = first_value(words, "group_ip");
  if (!ip) ip = first_value(words, "ip");
  if (!ip) ip = "127.0.0.1";
  size_t bytes = group_names ? strlen(group_names) : 0;
  struct text own = {0};
  add(&own, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
  if (name && *name) {
    add(&own, ip);
    add(&own, " ");
    add(&own, name);
    add(&own, "\n");
  }
  char *names = malloc(own.bytes + bytes + 1);
  if (!names) return;
  memcpy(names, own.at, own.bytes);
  if (bytes) memcpy(names + own.bytes, group_names, bytes);
  names[own.bytes + bytes] = 0;
  int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  write_hosts(root_fd < 0 ? root : root_fd, names);
  close(root);
  free(names);
}

/* The files of a job that runs are its own: a process writes them that sees what it has mounted, one after the other. */
static void update_hosts(void) {
  are_names_old = 1;
  if (hosts_writer > 0 || !is_job_running()) return;
  are_names_old = 0;
  hosts_writer = run_beside_job(write_names);
}

void take_names(const struct message *message) {
  char *names = malloc(message->bytes + 1);
  if (!names) return;
  memcpy(names, message->body, message->bytes);
  names[message->bytes] = 0;
  free(group_names);
  group_names = names;
  update_hosts();
}

static void record_exit(void) {
  struct text line = {0};
  add(&line, "exit ");
  add_number(&line, (unsigned long)status);
  add(&line, is_out_of_memory ? " oom\n" : "\n");
  /* The host's end is a file, which is always ready. */
  write(exit_port, line.at, line.bytes);
}

static void give_up(const char *reason) {
  send_text(FAILED, 0, reason);
  status = CANNOT_START;
  is_ended = 1;
  record_exit();
  finish();
}

/* Makes the pipe of a stream; returns the end for the job. */
static int open_stream(struct relay *relay) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  relay->pipe = ends[0];
  watch_fd(relay->pipe, &relay->watch);
  return ends[1];
}

static void on_report(struct watch *watch) {
  (void)watch;
  char text[512];
  ssize_t bytes = read(report, text, sizeof text - 1);
  if (bytes < 0 && errno == EAGAIN) return;
  close_watched(report);
  report = -1;
  if (bytes > 1) {
    text[bytes] = 0;
    send_text(FAILED, 0, text + 1);
    return;
  }
  /* It may have ended already: then nothing can be beside it. */
  enter_job(pid);
  state = RUNS;
  if (are_names_old) update_hosts();
  send_frame(STARTED, 0, NULL, 0);
}

void start_job(void) {
  struct text why = {0};
  if (state != WAITS || !words.text) return;
  state = STARTS;
  send_frame(STARTING, 0, NULL, 0);
  const char *name = first_value(words, "hostname");
  if (name) set_host_name(name);
  if (!set_network(words)) {
    give_up("the network of the guest could not be set up");
    return;
  }
  if (!set_root(words, &why)) {
    give_up(why.at);
    return;
  }
  write_names();
  are_names_old = 0;
  struct launch job = {.own = words, .job = words, .is_job = 1};
  job.streams[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (int stream = 0; stream < 2; stream++) job.streams[1 + stream] = open_stream(&relays[stream]);
  pid = launch(&job, &report);
  int error = errno;
  for (int stream = 0; stream < 3; stream++) close(job.streams[stream]);
  leave_root(words);
  if (pid < 0) {
    add(&why, "the command could not be started: ");
    add(&why, strerror(error));
    give_up(why.at);
    return;
  }
  fcntl(report, F_SETFL, O_NONBLOCK);
  report_watch.on_event = on_report;
  watch_fd(report, &report_watch);
}

/* True when a signal is in a set of a process, such as `SigCgt` in proc(5). */
static int is_in_set(const char *process_status, const char *set, int signal) {
  const char *at = strstr(process_status, set);
  return at && strtoull(at + strlen(set), NULL, 16) >> (signal - 1) & 1;
}

/* True when a process ends by a signal: it does not catch it, and it is not one of those that do nothing or stop it. */
static int is_deadly(pid_t process, int signal) {
  static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
  struct text path = {0};
  for (size_t at = 0; at < sizeof harmless / sizeof *harmless; at++) if (signal == harmless[at]) return 0;
  add(&path, "/proc/");
  add_number(&path, (unsigned long)process);
  add(&path, "/status");
  char *process_status = read_text(AT_FDCWD, path.at, 65536);
  int is_taken = process_status && (is_in_set(process_status, "\nSigCgt:", signal) ||
                                    is_in_set(process_status, "\nSigIgn:", signal) ||
                                    is_in_set(process_status, "\nSigBlk:", signal));
  free(process_status);
  return !is_taken;
}

/* The kernel spares process 1 of a namespace each signal that it does not catch, and so does what ends any other process. */
void signal_job(int signal) {
  if (pid <= 0 || is_ended || signal < 1 || signal > 64) return;
  if (is_deadly(pid, signal)) {
    ended_for = signal;
    signal = SIGKILL;
  }
  kill(pid, signal);
}

void drain_job(const struct message *message) {
  if (message->bytes > MAX_MARKER_BYTES) return;
  for (int stream = 0; stream < 2; stream++) {
    memcpy(relays[stream].marker, message->body, message->bytes);
    relays[stream].marker_bytes = message->bytes;
    pump_relay(&relays[stream]);
  }
}

void tell_state(void) {
  if (state == WAITS) send_frame(READY, 0, NULL, 0);
  if (state == STARTS) send_frame(STARTING, 0, NULL, 0);
  if (state == RUNS) send_frame(RUNNING, 0, NULL, 0);
  if (state == HAS_EXITED) tell_exit();
}

int reap_job(pid_t process, int wait_status) {
  if (process == hosts_writer) {
    hosts_writer = 0;
    if (are_names_old) update_hosts();
    return 1;
  }
  if (process != pid || is_ended) return 0;
  if (WIFSIGNALED(wait_status)) {
    int signal = WTERMSIG(wait_status);
    /* The kernel ends process 1 of a namespace in which reboot(2) was called with these, see pid_namespaces(7). */
    if (signal == SIGHUP || signal == SIGINT) power_off();
    status = 128 + (ended_for && signal == SIGKILL ? ended_for : signal);
  } else {
    status = WEXITSTATUS(wait_status);
  }
  is_out_of_memory = status == 128 + SIGKILL && ended_for != SIGKILL && was_out_of_memory();
  if (report >= 0) on_report(&report_watch);
  is_ended = 1;
  record_exit();
  for (int stream = 0; stream < 2; stream++) pump_relay(&relays[stream]);
  finish();
  return 1;
}

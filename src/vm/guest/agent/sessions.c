#define _GNU_SOURCE
#include "sessions.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control.h"
#include "job.h"
#include "launch.h"
#include "loop.h"
#include "words.h"

enum kind { FREE, TCP_PROBE, HTTP_PROBE, EXEC_PROBE, COMMAND, CONNECTION };
enum { FAILED_BY_US = 125, KILLED = 128 + SIGKILL, MAX_LINE_BYTES = 100, MAX_DRAINED_BYTES = 1 << 20 };

struct session {
  struct watch watch;
  enum kind kind;
  uint32_t id;
  struct session *next_dead;
  /* Process of a command; 0 for none, or when it was reaped. */
  pid_t pid;
  int report, in, out, err;
  /* Status of the command, once it was reaped; -1 before. */
  int status;
  /* True when the daemon knows whether it could be opened, or the answer of a probe. */
  int is_answered;
  int is_terminal, is_connected, is_input_ended;
  /* True for a probe whose answer nobody needs any more. */
  int is_forgotten;
  int64_t deadline_ms;
  /* Reason, or first line of a response. */
  struct text text;
  size_t drained_bytes;
  /* Bytes that the daemon takes. */
  size_t credit;
  /* Input that nobody has read yet, and bytes that it took of the daemon's credit since the last grant. */
  unsigned char input[INITIAL_CREDIT];
  size_t first, end, taken;
};

static struct session *sessions[MAX_SESSIONS];
/* Sessions that have ended, of which the turn of the loop may still have events. */
static struct session *dead;

static void pump(struct session *session);

static void on_event(struct watch *watch) { pump((struct session *)watch); }

static void close_fd(int *fd) {
  if (*fd >= 0) close_watched(*fd);
  *fd = -1;
}

static void free_session(struct session *session) {
  for (int at = 0; at < MAX_SESSIONS; at++) if (sessions[at] == session) sessions[at] = NULL;
  close_fd(&session->report);
  if (session->in != session->out) close_fd(&session->in);
  close_fd(&session->out);
  close_fd(&session->err);
  session->kind = FREE;
  session->next_dead = dead;
  dead = session;
}

static void bury_sessions(void) {
  while (dead) {
    struct session *next = dead->next_dead;
    free(dead);
    dead = next;
  }
}

/* All of the session: processes that have left it are the service's own. */
static void kill_session(struct session *session) {
  if (session->pid > 0) {
    kill(-session->pid, SIGKILL);
    kill(session->pid, SIGKILL);
  }
}

static struct session *find_session(uint32_t id) {
  for (int at = 0; at < MAX_SESSIONS; at++) if (sessions[at] && sessions[at]->id == id) return sessions[at];
  return NULL;
}

static void send_status(enum frame_type type, uint32_t id, int status, const char *text) {
  char body[1 + sizeof(struct text)];
  size_t bytes = text ? strlen(text) : 0;
  body[0] = (char)status;
  if (bytes) memcpy(body + 1, text, bytes);
  send_frame(type, id, body, 1 + bytes);
}

static struct session *begin_session(enum kind kind, uint32_t id) {
  int at = 0;
  while (at < MAX_SESSIONS && sessions[at]) at++;
  struct session *session = at < MAX_SESSIONS ? malloc(sizeof *session) : NULL;
  if (!session) return NULL;
  memset(session, 0, offsetof(struct session, input));
  session->first = session->end = session->taken = 0;
  session->watch.on_event = on_event;
  session->kind = kind;
  session->id = id;
  session->report = session->in = session->out = session->err = session->status = -1;
  session->deadline_ms = -1;
  session->credit = INITIAL_CREDIT;
  sessions[at] = session;
  return session;
}

/* Answers a probe once. */
static void answer(struct session *session, int status) {
  if (!session->is_answered) send_status(PROBED, session->id, status, session->text.at);
  session->is_answered = 1;
}

/* Begins to connect; 0 or the error. */
static int connect_to(struct session *session, const char *address, const char *port) {
  struct sockaddr_in to = {.sin_family = AF_INET};
  unsigned long number;
  if (!port || !read_number(port, 65535, &number) || inet_pton(AF_INET, address, &to.sin_addr) != 1) return EINVAL;
  to.sin_port = htons((uint16_t)number);
  session->in = session->out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (session->out < 0) return errno;
  watch_fd(session->out, &session->watch);
  return connect(session->out, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS ? 0 : errno;
}

/* True when the connection is made; `error` is what has become of it. */
static int has_connected(struct session *session, int *error) {
  struct sockaddr_in peer;
  socklen_t bytes = sizeof *error;
  *error = 0;
  if (session->is_connected) return 1;
  getsockopt(session->out, SOL_SOCKET, SO_ERROR, error, &bytes);
  bytes = sizeof peer;
  if (*error == 0 && getpeername(session->out, (struct sockaddr *)&peer, &bytes) == 0) session->is_connected = 1;
  return session->is_connected;
}

static void send_request(struct session *session, const char *path) {
  static const char head[] = " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: monocore\r\nConnection: close\r\n\r\n";
  size_t path_bytes = strlen(path);
  if (path_bytes + sizeof head + 4 > sizeof session->input) return;
  memcpy(session->input, "GET ", 4);
  memcpy(session->input + 4, path, path_bytes);
  memcpy(session->input + 4 + path_bytes, head, sizeof head - 1);
  session->end = 4 + path_bytes + sizeof head - 1;
}

static void write_input(struct session *session) {
  while (session->in >= 0 && session->first < session->end) {
    ssize_t written = write(session->in, session->input + session->first, session->end - session->first);
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) break;
    /* Nobody reads it any more. */
    session->first = written < 0 ? session->end : session->first + (size_t)written;
  }
  if (session->first == session->end) session->first = session->end = 0;
}

/* Reads the first line of the response; the rest is read, too, since a close before that is a reset for the server. */
static void pump_http(struct session *session) {
  char bytes[4096];
  ssize_t count;
  write_input(session);
  while ((count = read(session->out, bytes, sizeof bytes)) > 0) {
    for (ssize_t at = 0; at < count && !session->is_answered; at++) {
      if (bytes[at] == '\n' || session->text.bytes == MAX_LINE_BYTES) answer(session, 0);
      else add(&session->text, (char[]){bytes[at] ? bytes[at] : ' ', 0});
    }
    session->drained_bytes += (size_t)count;
    if (session->drained_bytes > MAX_DRAINED_BYTES) break;
  }
  if (count < 0 && errno == EAGAIN) return;
  answer(session, 0);
  free_session(session);
}

static void pump_network_probe(struct session *session) {
  int error;
  if (!has_connected(session, &error)) {
    if (error == 0) return;
    answer(session, 1);
    free_session(session);
  } else if (session->kind == TCP_PROBE) {
    answer(session, 0);
    free_session(session);
  } else {
    pump_http(session);
  }
}

/* Reads why a command could not be run; true when it is known to run or not. */
static int read_report(struct session *session) {
  char bytes[sizeof session->text.at];
  if (session->report < 0) return 1;
  ssize_t count = read(session->report, bytes, sizeof bytes - 1);
  if (count < 0 && errno == EAGAIN) return 0;
  close_fd(&session->report);
  if (count > 1) {
    bytes[count] = 0;
    add(&session->text, bytes + 1);
  }
  return 1;
}

static void pump_exec_probe(struct session *session) {
  read_report(session);
  if (session->status < 0) return;
  if (!session->is_forgotten) answer(session, session->status);
  free_session(session);
}

/* Grants what was taken and is not waiting here, in pieces that are worth a frame. */
static void grant_credit(struct session *session) {
  unsigned char body[4];
  size_t waiting = session->end - session->first;
  if (session->taken < waiting + INITIAL_CREDIT / 4) return;
  write_u32(body, (uint32_t)(session->taken - waiting));
  if (send_frame(CREDIT, session->id, body, sizeof body)) session->taken = waiting;
}

static void end_input(struct session *session) {
  if (session->in < 0 || !session->is_input_ended || session->first < session->end) return;
  if (session->is_terminal) write(session->in, "\4", 1);
  else if (session->kind == CONNECTION) shutdown(session->in, SHUT_WR);
  else close_fd(&session->in);
  session->is_input_ended = 0;
}

/* Sends what a stream has, as far as the daemon and the port take it. A stream whose command has ended is over when it is empty. */
static void send_output(struct session *session, int *fd, enum frame_type type) {
  static unsigned char bytes[MAX_BODY_BYTES];
  while (*fd >= 0) {
    size_t room = control_room();
    if (session->credit <= FRAME_COST || room == 0) return;
    if (room > session->credit - FRAME_COST) room = session->credit - FRAME_COST;
    ssize_t count = read(*fd, bytes, room);
    if (count > 0) {
      send_frame(type, session->id, bytes, (size_t)count);
      session->credit -= (size_t)count + FRAME_COST;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN && session->status < 0) return;
    if (session->in == *fd) session->in = -1;
    close_fd(fd);
  }
}

static void pump_command(struct session *session) {
  if (!session->is_answered) {
    if (!read_report(session)) return;
    if (session->text.bytes > 0) {
      if (session->status < 0) return;
      send_status(REFUSED, session->id, session->status, session->text.at);
      free_session(session);
      return;
    }
    send_frame(OPENED, session->id, NULL, 0);
    session->is_answered = 1;
  }
  write_input(session);
  grant_credit(session);
  end_input(session);
  send_output(session, &session->out, OUTPUT);
  send_output(session, &session->err, ERRORS);
  if (session->status < 0 || session->out >= 0 || session->err >= 0) return;
  send_status(ENDED, session->id, session->status, NULL);
  free_session(session);
}

static void pump_connection(struct session *session) {
  int error;
  if (!session->is_answered) {
    if (!has_connected(session, &error)) {
      if (error == 0) return;
      send_status(REFUSED, session->id, FAILED_BY_US, strerror(error));
      free_session(session);
      return;
    }
    send_frame(OPENED, session->id, NULL, 0);
    session->is_answered = 1;
  }
  write_input(session);
  grant_credit(session);
  end_input(session);
  send_output(session, &session->out, OUTPUT);
  if (session->out >= 0) return;
  send_status(ENDED, session->id, 0, NULL);
  free_session(session);
}

static void pump(struct session *session) {
  switch (session->kind) {
    case TCP_PROBE:
    case HTTP_PROBE: pump_network_probe(session); break;
    case EXEC_PROBE: pump_exec_probe(session); break;
    case COMMAND: pump_command(session); break;
    case CONNECTION: pump_connection(session); break;
    case FREE: break;
  }
}

/* Closes the ends of the process, which may be one and the same. */
static void close_ends(const int ends[3]) {
  for (int stream = 0; stream < 3; stream++)
    if (ends[stream] >= 0 && (stream == 0 || ends[stream] != ends[0])) close(ends[stream]);
}

/* Starts the process of a session and closes the ends that are its own. */
static int start_process(struct session *session, struct launch *launch_, int ends[3]) {
  memcpy(launch_->streams, ends, sizeof launch_->streams);
  launch_->job = job_words();
  session->pid = launch(launch_, &session->report);
  int error = session->pid < 0 ? errno : 0;
  close_ends(ends);
  if (error) return error;
  fcntl(session->report, F_SETFL, O_NONBLOCK);
  watch_fd(session->report, &session->watch);
  return 0;
}

static void begin_probe(const struct message *message) {
  struct words words = {(const char *)message->body, message->bytes};
  const char *kind = first_value(words, "kind"), *path = first_value(words, "path"), *limit = first_value(words, "timeout_ms");
  unsigned long limit_ms;
  if (!kind || !limit || !read_number(limit, 1UL << 40, &limit_ms)) return;
  int is_exec = strcmp(kind, "exec") == 0, is_http = strcmp(kind, "http") == 0;
  struct session *session = begin_session(is_exec ? EXEC_PROBE : is_http ? HTTP_PROBE : TCP_PROBE, message->session);
  if (!session) {
    send_status(PROBED, message->session, FAILED_BY_US, "the guest has too many sessions");
    return;
  }
  session->deadline_ms = now_ms() + (int64_t)limit_ms;
  int error;
  if (is_exec) {
    struct launch command = {.own = words};
    error = ESRCH;
    if (is_job_running()) {
      int null = open("/dev/null", O_RDWR | O_CLOEXEC), ends[3] = {null, null, null};
      error = start_process(session, &command, ends);
    }
    if (error) add(&session->text, strerror(error));
  } else {
    error = connect_to(session, "127.0.0.1", first_value(words, "port"));
    if (is_http) send_request(session, path ? path : "/");
  }
  if (error) {
    answer(session, is_exec ? FAILED_BY_US : 1);
    free_session(session);
    return;
  }
  pump(session);
}

static void set_size(int terminal, unsigned columns, unsigned rows) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  ioctl(terminal, TIOCSWINSZ, &size);
}

/* Opens a terminal of a size `<columns>x<rows>`; 0 or the error. */
static int open_terminal(struct session *session, const char *size, int ends[3]) {
  int unlocked = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (master < 0) return errno;
  session->out = master;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return errno;
  ends[0] = ends[1] = ends[2] = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[0] < 0) return errno;
  char *rest;
  unsigned long columns = strtoul(size, &rest, 10), rows = *rest == 'x' ? strtoul(rest + 1, NULL, 10) : 0;
  set_size(master, (unsigned)columns, (unsigned)rows);
  session->in = fcntl(master, F_DUPFD_CLOEXEC, 0);
  session->is_terminal = 1;
  watch_fd(master, &session->watch);
  return 0;
}

/* Opens pipes for the streams; 0 or the error. */
static int open_pipes(struct session *session, int ends[3]) {
  int *const own[] = {&session->in, &session->out, &session->err};
  for (int stream = 0; stream < 3; stream++) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) < 0) return errno;
    int mine = stream == 0;
    *own[stream] = pipe_ends[mine];
    ends[stream] = pipe_ends[!mine];
    fcntl(pipe_ends[mine], F_SETFL, O_NONBLOCK);
    watch_fd(pipe_ends[mine], &session->watch);
  }
  return 0;
}

static void refuse(uint32_t id, const char *reason) { send_status(REFUSED, id, FAILED_BY_US, reason); }

static void begin_command(const struct message *message) {
  struct words words = {(const char *)message->body, message->bytes};
  const char *size = first_value(words, "tty");
  if (!is_job_running()) {
    refuse(message->session, "the service does not run");
    return;
  }
  struct session *session = begin_session(COMMAND, message->session);
  if (!session) {
    refuse(message->session, "the guest has too many sessions");
    return;
  }
  int ends[3] = {-1, -1, -1};
  int error = size ? open_terminal(session, size, ends) : open_pipes(session, ends);
  struct launch command = {.own = words, .is_terminal = size != NULL};
  if (error) close_ends(ends);
  else error = start_process(session, &command, ends);
  if (error) {
    refuse(session->id, strerror(error));
    free_session(session);
  }
}

static void begin_connection(const struct message *message) {
  struct words words = {(const char *)message->body, message->bytes};
  const char *address = first_value(words, "address");
  struct session *session = begin_session(CONNECTION, message->session);
  if (!session) {
    refuse(message->session, "the guest has too many sessions");
    return;
  }
  int error = connect_to(session, address ? address : "127.0.0.1", first_value(words, "port"));
  if (error) {
    refuse(session->id, strerror(error));
    free_session(session);
    return;
  }
  pump(session);
}

static void take_input(struct session *session, const struct message *message) {
  size_t cost = message->bytes + FRAME_COST;
  if (session->kind != COMMAND && session->kind != CONNECTION) return;
  session->taken += cost;
  if (session->first > 0) {
    memmove(session->input, session->input + session->first, session->end - session->first);
    session->end -= session->first;
    session->first = 0;
  }
  /* The daemon has kept to its credit, or loses what it sends. */
  size_t room = sizeof session->input - session->end, bytes = message->bytes < room ? message->bytes : room;
  memcpy(session->input + session->end, message->body, bytes);
  session->end += bytes;
}

static void abort_session(struct session *session, uint32_t id) {
  if (!session) {
    /* It has ended already: the daemon that waits for its last frame gets one. */
    send_status(PROBED, id, KILLED, NULL);
  } else if (session->pid > 0) {
    session->is_forgotten = 0;
    kill_session(session);
  } else if (session->kind == CONNECTION) {
    send_status(session->is_answered ? ENDED : REFUSED, id, KILLED, NULL);
    free_session(session);
  } else {
    answer(session, KILLED);
    free_session(session);
  }
}

void take_session_message(const struct message *message) {
  struct words words = {(const char *)message->body, message->bytes};
  struct session *session = find_session(message->session);
  const unsigned char *body = message->body;
  if (message->type == ABORT) {
    abort_session(session, message->session);
    return;
  }
  if (!session) {
    if (!are_words(words)) return;
    if (message->type == PROBE) begin_probe(message);
    if (message->type == EXEC) begin_command(message);
    if (message->type == CONNECT) begin_connection(message);
    if (message->type == UNPACK || message->type == PACK) refuse(message->session, "this guest cannot copy files");
    return;
  }
  if (message->type == INPUT) take_input(session, message);
  if (message->type == INPUT_END) session->is_input_ended = 1;
  if (message->type == RESIZE && message->bytes == 4 && session->is_terminal)
    set_size(session->out, read_u16(body), read_u16(body + 2));
  if (message->type == SESSION_SIGNAL && message->bytes == 1 && session->pid > 0) kill(session->pid, body[0]);
  if (message->type == CREDIT && message->bytes == 4) session->credit += read_u32(body);
  pump(session);
}

void end_sessions(void) {
  for (int at = 0; at < MAX_SESSIONS; at++) {
    if (!sessions[at]) continue;
    kill_session(sessions[at]);
    free_session(sessions[at]);
  }
}

void reap_session(pid_t pid, int status) {
  for (int at = 0; at < MAX_SESSIONS; at++) {
    struct session *session = sessions[at];
    if (!session || session->pid != pid) continue;
    /* What a probe leaves running goes with it; a command may leave something for the service. */
    if (session->kind == EXEC_PROBE) kill(-pid, SIGKILL);
    /* It was killed with the service, which is what the daemon is about to be told. */
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && is_job_ending()) session->is_forgotten = 1;
    session->pid = 0;
    session->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    pump(session);
    return;
  }
}

void pump_sessions(void) {
  int64_t now = now_ms();
  bury_sessions();
  for (int at = 0; at < MAX_SESSIONS; at++) {
    struct session *session = sessions[at];
    if (!session) continue;
    if (session->deadline_ms >= 0 && session->deadline_ms <= now) {
      /* The daemon counts, too, and needs no answer. */
      session->deadline_ms = -1;
      session->is_forgotten = 1;
      if (session->pid > 0) kill_session(session);
      else free_session(session);
    } else {
      pump(session);
    }
  }
}

int64_t next_deadline_ms(void) {
  int64_t next = -1;
  for (int at = 0; at < MAX_SESSIONS; at++)
    if (sessions[at] && sessions[at]->deadline_ms >= 0 && (next < 0 || sessions[at]->deadline_ms < next))
      next = sessions[at]->deadline_ms;
  return next;
}

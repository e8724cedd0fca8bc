/*
 * Carries bytes between TCP ports of the host and ports of the jail. The listening sockets were made in the network of the
 * host, so they take its connections; those to the jail are made in its own network. Bytes wait in the buffers of the
 * kernel only: they are looked at, sent, and then taken.
 */
#include <linux/in.h>
#include <linux/poll.h>
#include <linux/tcp.h>

enum { MAX_LISTENERS = 256, MAX_PAIRS = 2048, BACKLOG = 511 };
/* Constants that the kernel's headers for programs lack, see socket(2), send(2), recv(2) and shutdown(2). */
enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16 };
enum { SOCKET_STREAM = 1, SOCKET_DATAGRAM = 2, SOCKET_RAW = 3, SOCKET_NONBLOCK = 04000, SOCKET_CLOEXEC = 02000000 };
enum { SEND_NO_SIGNAL = 0x4000, RECEIVE_PEEK = 2, RECEIVE_DISCARD = 0x20, NO_WAIT = 0x40, SHUT_WRITE = 1 };
enum { LEVEL_SOCKET = 1, OPTION_REUSE_ADDRESS = 2, OPTION_LINGER = 13 };

/* A port of the host, and its port in the jail. */
static struct { int fd; unsigned inner; } listeners[MAX_LISTENERS];
static int listener_count;

/* A connection of the host, 0, and its counterpart in the jail, 1. Direction n leads from n to the other. */
static struct pair {
  int fd[2];
  /* The direction waits for room at its end. */
  char blocked[2];
  /* Its begin was closed, and its end has been told. */
  char over[2];
} pairs[MAX_PAIRS];
static int pair_count;
/* No descriptor is left for another connection. */
static int exhausted;

static int is_listener(int fd) {
  for (int at = 0; at < listener_count; at++)
    if (listeners[at].fd == fd) return 1;
  return 0;
}

static void forget_listeners(void) { listener_count = 0; }

static unsigned short to_network(unsigned port) { return (unsigned short)(port << 8 | port >> 8); }

/* Returns 0, or the negative error. */
static long add_listener(unsigned address, unsigned port, unsigned inner) {
  struct sockaddr_in name = {.sin_family = FAMILY_INET, .sin_port = to_network(port), .sin_addr.s_addr = address};
  int yes = 1;
  if (listener_count == MAX_LISTENERS) return -ENFILE;
  long fd = call(__NR_socket, FAMILY_INET, SOCKET_STREAM | SOCKET_NONBLOCK | SOCKET_CLOEXEC, 0, 0);
  if (fd < 0) return fd;
  call5(__NR_setsockopt, fd, LEVEL_SOCKET, OPTION_REUSE_ADDRESS, (long)&yes, sizeof yes);
  long error = call(__NR_bind, fd, (long)&name, sizeof name, 0);
  if (error == 0) error = call(__NR_listen, fd, BACKLOG, 0, 0);
  if (error != 0) return error;
  listeners[listener_count].fd = fd;
  listeners[listener_count++].inner = inner;
  return 0;
}

/* Closes a connection with a reset: its other side learns that bytes were lost. */
static void reset(int fd) {
  int linger[2] = {1, 0};
  call5(__NR_setsockopt, fd, LEVEL_SOCKET, OPTION_LINGER, (long)linger, sizeof linger);
  call(__NR_close, fd, 0, 0, 0);
}

static void accept_from(int at) {
  struct sockaddr_in name = {.sin_family = FAMILY_INET, .sin_port = to_network(listeners[at].inner)};
  int yes = 1;
  long outer = call(__NR_accept4, listeners[at].fd, 0, 0, SOCKET_NONBLOCK | SOCKET_CLOEXEC);
  if (outer == -EMFILE || outer == -ENFILE) exhausted = 1;
  if (outer < 0) return;
  long inner = call(__NR_socket, FAMILY_INET, SOCKET_STREAM | SOCKET_NONBLOCK | SOCKET_CLOEXEC, 0, 0);
  if (inner == -EMFILE || inner == -ENFILE) exhausted = 1;
  name.sin_addr.s_addr = 0x7f | 1 << 24;
  long error = inner < 0 ? inner : call(__NR_connect, inner, (long)&name, sizeof name, 0);
  if (error != 0 && error != -EINPROGRESS) {
    reset(outer);
    if (inner >= 0) call(__NR_close, inner, 0, 0, 0);
    return;
  }
  call5(__NR_setsockopt, outer, IPPROTO_TCP, TCP_NODELAY, (long)&yes, sizeof yes);
  call5(__NR_setsockopt, inner, IPPROTO_TCP, TCP_NODELAY, (long)&yes, sizeof yes);
  struct pair *pair = &pairs[pair_count++];
  pair->fd[0] = outer;
  pair->fd[1] = inner;
  pair->blocked[0] = 1;
  pair->blocked[1] = pair->over[0] = pair->over[1] = 0;
}

/* Carries what there is in one direction, at most a buffer of it; returns 0 when the connection has failed. */
static int carry(struct pair *pair, int from, char *buffer, long size) {
  int to = 1 - from;
  long bytes = call6(__NR_recvfrom, pair->fd[from], (long)buffer, size, RECEIVE_PEEK | NO_WAIT, 0, 0);
  if (bytes == -EAGAIN) {
    pair->blocked[from] = 0;
    return 1;
  }
  if (bytes < 0) return 0;
  if (bytes == 0) {
    pair->over[from] = 1;
    pair->blocked[from] = 0;
    return call(__NR_shutdown, pair->fd[to], SHUT_WRITE, 0, 0) == 0;
  }
  long sent = call6(__NR_sendto, pair->fd[to], (long)buffer, bytes, NO_WAIT | SEND_NO_SIGNAL, 0, 0);
  if (sent < 0 && sent != -EAGAIN) return 0;
  pair->blocked[from] = sent != bytes;
  if (sent > 0) call6(__NR_recvfrom, pair->fd[from], 0, sent, RECEIVE_DISCARD | NO_WAIT, 0, 0);
  return 1;
}

/* Carries bytes until `fd` can be read. */
static void relay_until(int fd, char *buffer, long size) {
  static struct pollfd polled[1 + MAX_LISTENERS + 2 * MAX_PAIRS];
  for (;;) {
    int accepts = pair_count < MAX_PAIRS && !exhausted, count = 0, known = pair_count;
    polled[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    for (int at = 0; at < listener_count; at++)
      polled[count++] = (struct pollfd){.fd = accepts ? listeners[at].fd : -1, .events = POLLIN};
    for (int at = 0; at < pair_count; at++)
      for (int side = 0; side < 2; side++) {
        struct pair *pair = &pairs[at];
        int reads = !pair->over[side] && !pair->blocked[side], writes = pair->blocked[1 - side];
        short events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
        polled[count++] = (struct pollfd){.fd = events ? pair->fd[side] : -1, .events = events};
      }
    if (call5(__NR_ppoll, (long)polled, count, 0, 0, 0) < 0) continue;
    if (polled[0].revents) return;
    /* Backwards, because the last pair takes the place of one that is gone. */
    for (int at = known - 1; at >= 0; at--) {
      struct pair *pair = &pairs[at];
      const struct pollfd *sides = &polled[1 + listener_count + 2 * at];
      int lives = 1;
      for (int side = 0; side < 2 && lives; side++) {
        int ready = (sides[side].revents && !pair->over[side]) || (pair->blocked[side] && sides[1 - side].revents);
        if (ready && !pair->over[side]) lives = carry(pair, side, buffer, size);
      }
      int done = pair->over[0] && pair->over[1];
      if (lives && !done) continue;
      for (int side = 0; side < 2; side++) {
        if (done) call(__NR_close, pair->fd[side], 0, 0, 0);
        else reset(pair->fd[side]);
      }
      *pair = pairs[--pair_count];
      exhausted = 0;
    }
    for (int at = 0; at < listener_count && pair_count < MAX_PAIRS; at++)
      if (polled[1 + at].revents) accept_from(at);
  }
}

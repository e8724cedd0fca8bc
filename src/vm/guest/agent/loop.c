#include "loop.h"
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 32 };

static int epoll;

void begin_loop(void) { epoll = epoll_create1(EPOLL_CLOEXEC); }

void watch_fd(int fd, struct watch *watch) {
  /* A port whose host has gone is in that state for long: only changes are of interest. */
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = watch};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void close_watched(int fd) {
  epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
  close(fd);
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void turn_loop(int64_t until_ms) {
  struct epoll_event events[MAX_EVENTS];
  int64_t left = until_ms < 0 ? -1 : until_ms - now_ms();
  if (until_ms >= 0 && left < 0) left = 0;
  if (left > 3600000) left = 3600000;
  int count = epoll_wait(epoll, events, MAX_EVENTS, (int)left);
  for (int at = 0; at < count; at++) {
    struct watch *watch = events[at].data.ptr;
    watch->on_event(watch);
  }
}

#include "control.h"
#include <string.h>
#include <unistd.h>
#include "loop.h"
#include "machine.h"

enum { FRAME_BYTES = HEAD_BYTES + MAX_BODY_BYTES + 1, WAITING_BYTES = 8 * FRAME_BYTES, RESERVED_BYTES = 2 * FRAME_BYTES };

static int port = -1;
static int is_greeted;
/* Whether the kernel has told that a daemon is connected, since the last greeting. */
static int is_connected;
static unsigned char waiting[WAITING_BYTES];
static size_t first, end;
static struct frame_reader reader;
static message_handler *handle;
static void (*on_lost)(void);

static void on_event(struct watch *watch) {
  (void)watch;
  pump_control();
}

void open_control(message_handler *handler, void (*lost)(void)) {
  static struct watch watch = {on_event};
  handle = handler;
  on_lost = lost;
  port = open_port("control");
  watch_fd(port, &watch);
}

static size_t free_bytes(void) { return WAITING_BYTES - (end - first); }

size_t control_room(void) {
  if (!is_greeted || free_bytes() <= RESERVED_BYTES) return 0;
  size_t room = free_bytes() - RESERVED_BYTES;
  return room < FRAME_BYTES ? 0 : MAX_BODY_BYTES;
}

int send_frame(enum frame_type type, uint32_t session, const void *body, size_t bytes) {
  if (!is_greeted || free_bytes() < HEAD_BYTES + bytes + 1) return 0;
  if (WAITING_BYTES - end < HEAD_BYTES + bytes + 1) {
    memmove(waiting, waiting + first, end - first);
    end -= first;
    first = 0;
  }
  end += write_frame(waiting + end, type, session, body, bytes);
  return 1;
}

void send_text(enum frame_type type, uint32_t session, const char *text) {
  size_t bytes = strlen(text);
  send_frame(type, session, text, bytes < MAX_BODY_BYTES ? bytes : MAX_BODY_BYTES);
}

void greet_daemon(const unsigned char *nonce) {
  unsigned char body[NONCE_BYTES + 2];
  first = end = 0;
  is_greeted = 1;
  is_connected = 0;
  memcpy(body, nonce, NONCE_BYTES);
  write_u16(body + NONCE_BYTES, GENERATION);
  send_frame(HELLO_ANSWER, 0, body, sizeof body);
}

static void write_waiting(void) {
  while (first < end) {
    ssize_t written = write(port, waiting + first, end - first);
    if (written <= 0) return;
    first += (size_t)written;
  }
  first = end = 0;
}

void pump_control(void) {
  static unsigned char bytes[32768];
  ssize_t count;
  while ((count = read(port, bytes, sizeof bytes)) > 0) read_frames(&reader, bytes, (size_t)count, handle);
  if (count < 0) is_connected = 1;
  /*
   * No daemon is connected, and one may come. Its greeting may be here before the kernel knows that it is connected: the two
   * have queues of their own.
   */
  if (count == 0 && is_greeted && is_connected) {
    is_greeted = 0;
    first = end = 0;
    on_lost();
  }
  write_waiting();
}

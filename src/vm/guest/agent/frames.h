/* Frames of the protocol: reading them from any pieces, and writing them. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include "protocol.h"

/* A whole message. Its body is valid until the function that gets it returns. */
struct message {
  unsigned char type;
  uint32_t session;
  const unsigned char *body;
  size_t bytes;
};

typedef void message_handler(const struct message *message);

/* State of a reader, all zero at first. */
struct frame_reader {
  unsigned char frame[HEAD_BYTES + MAX_BODY_BYTES + 1];
  size_t have;
  /* Parts of a message that has more of them; null for none. */
  unsigned char *parts;
  size_t parts_bytes;
  unsigned char parts_type;
  uint32_t parts_session;
};

/* Takes bytes as they come and hands over each message that they complete. What is no frame is dropped. */
void read_frames(struct frame_reader *reader, const unsigned char *bytes, size_t count, message_handler *handler);

/* Writes a frame of at most MAX_BODY_BYTES into room for them and all that is around them; returns its size. */
size_t write_frame(unsigned char *to, enum frame_type type, uint32_t session, const void *body, size_t bytes);

uint16_t read_u16(const unsigned char *from);
uint32_t read_u32(const unsigned char *from);
uint64_t read_u64(const unsigned char *from);
void write_u16(unsigned char *to, uint16_t value);
void write_u32(unsigned char *to, uint32_t value);

#endif

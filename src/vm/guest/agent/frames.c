#include "frames.h"
#include <stdlib.h>
#include <string.h>

uint16_t read_u16(const unsigned char *from) { return (uint16_t)(from[0] | from[1] << 8); }

uint32_t read_u32(const unsigned char *from) { return read_u16(from) | (uint32_t)read_u16(from + 2) << 16; }

uint64_t read_u64(const unsigned char *from) { return read_u32(from) | (uint64_t)read_u32(from + 4) << 32; }

void write_u16(unsigned char *to, uint16_t value) {
  to[0] = (unsigned char)value;
  to[1] = (unsigned char)(value >> 8);
}

void write_u32(unsigned char *to, uint32_t value) {
  write_u16(to, (uint16_t)value);
  write_u16(to + 2, (uint16_t)(value >> 16));
}

size_t write_frame(unsigned char *to, enum frame_type type, uint32_t session, const void *body, size_t bytes) {
  to[0] = (unsigned char)type;
  to[1] = 0;
  write_u16(to + 2, (uint16_t)bytes);
  write_u32(to + 4, session);
  if (bytes) memcpy(to + HEAD_BYTES, body, bytes);
  to[HEAD_BYTES + bytes] = END_MARK;
  return HEAD_BYTES + bytes + 1;
}

static void drop_parts(struct frame_reader *reader) {
  free(reader->parts);
  reader->parts = NULL;
  reader->parts_bytes = 0;
}

/* Adds a part to the message that is under way; false where there is none that it could belong to, or no room. */
static int add_part(struct frame_reader *reader, const struct message *part) {
  if (reader->parts && (reader->parts_type != part->type || reader->parts_session != part->session)) return 0;
  size_t bytes = reader->parts_bytes + part->bytes;
  if (bytes > MAX_MESSAGE_BYTES) return 0;
  unsigned char *grown = realloc(reader->parts, bytes + 1);
  if (!grown) return 0;
  memcpy(grown + reader->parts_bytes, part->body, part->bytes);
  reader->parts = grown;
  reader->parts_bytes = bytes;
  reader->parts_type = part->type;
  reader->parts_session = part->session;
  return 1;
}

static void take_frame(struct frame_reader *reader, const struct message *frame, int more, message_handler *handler) {
  /* A new connection: what the earlier one began is never ended. */
  if (frame->type == HELLO) drop_parts(reader);
  if (!more && !reader->parts) {
    handler(frame);
    return;
  }
  if (!add_part(reader, frame)) {
    drop_parts(reader);
    return;
  }
  if (more) return;
  struct message whole = *frame;
  whole.body = reader->parts;
  whole.bytes = reader->parts_bytes;
  handler(&whole);
  drop_parts(reader);
}

/* Bytes that the frame under way needs to be told from others, or to be whole. */
static size_t wanted_bytes(const struct frame_reader *reader) {
  if (reader->have < HEAD_BYTES) return HEAD_BYTES;
  return HEAD_BYTES + read_u16(reader->frame + 2) + 1;
}

void read_frames(struct frame_reader *reader, const unsigned char *bytes, size_t count, message_handler *handler) {
  while (count > 0) {
    if (reader->have == 0 && *bytes == 0) {
      bytes++;
      count--;
      continue;
    }
    size_t missing = wanted_bytes(reader) - reader->have;
    size_t taken = count < missing ? count : missing;
    memcpy(reader->frame + reader->have, bytes, taken);
    reader->have += taken;
    bytes += taken;
    count -= taken;
    if (taken < missing) return;
    size_t length = read_u16(reader->frame + 2);
    if (length > MAX_BODY_BYTES) {
      reader->have = 0;
      continue;
    }
    if (reader->have < HEAD_BYTES + length + 1) continue;
    reader->have = 0;
    if (reader->frame[HEAD_BYTES + length] != END_MARK) continue;
    struct message frame = {reader->frame[0], read_u32(reader->frame + 4), reader->frame + HEAD_BYTES, length};
    take_frame(reader, &frame, reader->frame[1] & MORE, handler);
  }
}

/* The agent's end of the control port. */
#ifndef CONTROL_H
#define CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include "frames.h"

/* Opens the port; the handler gets each message, `lost` is called when the daemon has gone. */
void open_control(message_handler *handler, void (*lost)(void));

/* Bytes that the body of the next frame may have, so that answers of the agent itself always find room. */
size_t control_room(void);

/* Sends a frame. Returns 0 where no daemon is there, or one that does not read: it asks for the state by its next hello. */
int send_frame(enum frame_type type, uint32_t session, const void *body, size_t bytes);

/* Sends a text, cut to what a frame takes. */
void send_text(enum frame_type type, uint32_t session, const char *text);

/* Answers a hello: what was to be sent to an earlier daemon is forgotten. */
void greet_daemon(const unsigned char *nonce);

/* Reads what has come, and writes what waits. */
void pump_control(void);

#endif

/* Numbers of the protocol with the daemon. Their meaning is told in src/vm/guest/agent/protocol.ts; a test compares them. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

enum {
  GENERATION = 1,
  HEAD_BYTES = 8,
  MAX_BODY_BYTES = 16384,
  MAX_MESSAGE_BYTES = 4 * 1024 * 1024,
  END_MARK = 0xff,
  MORE = 1,
  NONCE_BYTES = 16,
  FRAME_COST = 64,
  INITIAL_CREDIT = 65536,
  MAX_SESSIONS = 64,
};

enum frame_type {
  HELLO = 1,
  JOB = 2,
  SECRET = 3,
  START = 4,
  HOSTS = 5,
  SIGNAL = 6,
  DRAIN = 7,
  OFF = 8,
  CLOCK = 9,
  PROBE = 16,
  EXEC = 17,
  CONNECT = 18,
  UNPACK = 19,
  PACK = 20,
  INPUT = 21,
  INPUT_END = 22,
  RESIZE = 23,
  SESSION_SIGNAL = 24,
  CREDIT = 25,
  ABORT = 26,
  HELLO_ANSWER = 65,
  READY = 66,
  STARTING = 67,
  RUNNING = 68,
  STARTED = 69,
  FAILED = 70,
  EXITED = 71,
  PROBED = 80,
  OPENED = 81,
  REFUSED = 82,
  OUTPUT = 83,
  ERRORS = 84,
  OUTPUT_END = 85,
  ENDED = 86,
};

#endif

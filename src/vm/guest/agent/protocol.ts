/**
 * Protocol of the daemon and the agent in a guest. It runs over one port of the guest's virtio serial device. `protocol.h`
 * repeats the numbers; a test compares them.
 *
 * **Frames.** A frame is a head of 8 bytes, a body and an end mark:
 *
 * | bytes | content |
 * |---|---|
 * | 1 | type, see {@link FRAME_TYPES} |
 * | 1 | flags: {@link MORE} or 0 |
 * | 2 | length of the body, little-endian, at most {@link MAX_BODY_BYTES} |
 * | 4 | session, little-endian; 0 is the guest itself |
 * | … | body |
 * | 1 | {@link END_MARK} |
 *
 * Zero bytes between frames of the daemon mean nothing. A message of the daemon that is longer than a frame is cut: each of
 * its frames but the last has {@link MORE}, and no other frame comes in between. The agent does neither.
 *
 * **Connections.** A daemon may die in the middle of a frame, and the next one speaks to an agent that waits for its rest.
 * Each connection therefore begins with {@link RESYNC_BYTES} zero bytes: they end the frame that was cut, which has no end
 * mark and is dropped, and the rest of them mean nothing. Then comes `hello` with a random number. The agent ends all
 * sessions of earlier connections and repeats the number; the daemon drops everything before that. Behind it the agent
 * tells its state: `ready`, `starting`, `running` or `exited`. So messages may come twice.
 *
 * **Generations.** `hello` has the {@link GENERATION} of either side first. Sides of different generations understand no
 * more than `hello`, `signal` and `off`, and `exited`.
 *
 * **Sessions.** The daemon opens a session by a number that it has not used in this connection. `probed`, `refused`, or
 * `ended` is its last frame; the daemon may ask for it by `abort`. What a session carries, `input` to the guest and
 * `output`, `errors` from it, needs credit, so that no reader stalls another: each side may send as many bytes as the
 * other one has granted for that session, where a frame counts {@link FRAME_COST} besides its body. Each side grants
 * {@link INITIAL_CREDIT} by opening the session, and later by `credit` as much as it has taken.
 *
 * **Words** are texts with a zero byte behind each, `key=value`; a key may come several times.
 */

/** Number of this version of the protocol. */
export const GENERATION = 1;

export const HEAD_BYTES = 8;
export const MAX_BODY_BYTES = 16_384;
/** Limit for a message of the daemon, which has several frames. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
export const END_MARK = 0xff;
/** Flag of a frame whose message goes on in the next one. */
export const MORE = 1;
/** More than the rest of any frame. */
export const RESYNC_BYTES = MAX_BODY_BYTES + HEAD_BYTES + 1;
/** Bytes of the random number in `hello`. */
export const NONCE_BYTES = 16;
/** Credit that a frame takes besides its body. */
export const FRAME_COST = 64;
/** Credit of either side in a new session, bytes. */
export const INITIAL_CREDIT = 65_536;
/** Sessions that a guest has at once. */
export const MAX_SESSIONS = 64;

/** Numbers of the frame types, with the content of their bodies. Integers are little-endian. */
export const FRAME_TYPES = {
  // Daemon to agent, session 0.
  /** Generation (2 bytes), random number (16). */
  hello: 1,
  /**
   * Words, which replace earlier ones. The machine: `hostname`; `ip`, `netmask`, `gateway` and `dns` of the user network;
   * `group_mac`, `group_ip` and `group_netmask`; `root` (`image` or `share`, none for the built-in one), `disk=1`,
   * `volume=<ro|rw>:<name in the share>:<place>` in the order of their mounts. The command: `arg`, the first of which is
   * the program; `env=<name>=<value>`, `workdir`, `user` (as in an image's config; none to stay root).
   */
  job: 2,
  /** Name of a secret, a zero byte, and its content. */
  secret: 3,
  /** Runs the job. Answered by `starting`, then `started` or `failed`. */
  start: 4,
  /** Names of the group, which replace earlier ones: lines of hosts(5). */
  hosts: 5,
  /** Number of a signal for the job's command (1 byte). */
  signal: 6,
  /** Marker that is written to both streams, behind all output of the job. */
  drain: 7,
  /** Syncs the file systems and ends the machine. */
  off: 8,
  /** Time for the guest's clock: seconds since 1970 (8 bytes), nanoseconds (4). */
  clock: 9,

  // Daemon to agent, in a session.
  /** Words: `kind` (`tcp`, `http` or `exec`), `timeout_ms`; `port`, `path`; `arg`. Answered by `probed`. */
  probe: 16,
  /**
   * Runs a command beside the job. Words: `arg`; `env`, `workdir` and `user` replace those of the job; `tty=<columns>x<rows>`
   * for a terminal. Answered by `opened` or `refused`; then `output`, `errors`, and `ended`.
   */
  exec: 17,
  /** Connects with an address of the guest. Words: `address`, `port`. Answered by `opened` or `refused`, later `ended`. */
  connect: 18,
  /** Unpacks a tar archive, which comes as `input`, below a folder. Words: `path`, `user`. As `exec`. */
  unpack: 19,
  /** Packs a file or folder into a tar archive, which comes as `output`. Words: `path`, `user`. As `exec`. */
  pack: 20,
  /** Bytes for standard input, or of a connection. */
  input: 21,
  /** End of the input. */
  'input-end': 22,
  /** New size of the terminal: columns (2 bytes), rows (2). */
  resize: 23,
  /** Number of a signal for the command (1 byte). */
  'session-signal': 24,
  /** Bytes that the sender may send more (4 bytes); in both directions. */
  credit: 25,
  /** Kills what runs in the session. */
  abort: 26,

  // Agent to daemon, session 0.
  /** Random number (16 bytes) of the `hello` that it answers, generation (2). */
  'hello-answer': 65,
  /** The guest waits for its job. */
  ready: 66,
  /** The guest has its job, whose command may not run yet. */
  starting: 67,
  /** The command runs: the answer to a `hello`. */
  running: 68,
  /** The command runs. */
  started: 69,
  /** The command could not be run: reason, for people. */
  failed: 70,
  /** The command has ended: its status as shells count it (1 byte); 1 where the kernel killed it for lack of memory (1). */
  exited: 71,

  // Agent to daemon, in a session.
  /**
   * Status (1 byte): 0 for a connection that was made, or that of the command; text: the first line of an HTTP response, or
   * why the command could not be run.
   */
  probed: 80,
  opened: 81,
  /** Status (1 byte) as of env(1): 125, 126 or 127; reason, for people. */
  refused: 82,
  output: 83,
  errors: 84,
  /** End of the output of a connection. */
  'output-end': 85,
  /** Status of the command as shells count it (1 byte). All output has come before. */
  ended: 86,
} as const;

export type FrameType = keyof typeof FRAME_TYPES;

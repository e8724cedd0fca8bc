/*
 * monocore-jail SPEC PROGRAM [ARGUMENT…]
 *
 * Executes PROGRAM, a virtual machine monitor that its guest may have taken over, with as little as possible of the host:
 * it opens the monitor's files and sockets beforehand, and takes everything else away. SPEC is a file of words, each with
 * a zero behind it. They are obeyed in this order, whatever theirs is:
 *
 *   read=PATH, write=PATH, append=PATH   open a file, `write` for reading, too, `append` makes it when it is missing
 *   listen=PATH, connect=PATH            open a unix socket
 *   open-files=N, file-bytes=N           RLIMIT_NOFILE and RLIMIT_FSIZE; none is raised above its hard limit
 *   forward=ADDRESS:PORT:INNER           listen on a TCP port of the host for port INNER of 127.0.0.1 in the jail
 *   namespaces=host|user                 make private namespaces, as root of the host or of a user namespace of its own
 *   unreachable=ADDRESS/MASK…            networks that the jail cannot reach
 *   way-out=PATH                         let slirp4netns, PATH, connect the network of the jail with the host's
 *   root=DIR                             place for a root that has nothing but what follows; any folder
 *   file=PATH, device=PATH               a file or folder of the host, read-only and at the same path, or a device
 *   user=own|N, group=own|N…             user and groups; the first group is the primary one
 *
 * Files and sockets have the descriptors from 6 on, in the order of the words; those up to 5 are inherited, and there are no
 * others. `own` is a number that no other running process of the host has: the pid, from a range of their own. The
 * environment is empty, all capabilities are gone, and nothing that is executed gets any back. System calls that a monitor
 * does not need fail, see filter.h.
 *
 * The network namespace has nothing but its own loopback interface and, with `way-out`, a way to other hosts: neither to
 * the addresses of this one, see addresses.h, nor to those that are said to be unreachable.
 *
 * With namespaces the jail stays as PROGRAM's parent: it passes signals on, ends with PROGRAM and as PROGRAM ended, and
 * takes it along when it is killed. It also carries the bytes of the forwarded ports, see relay.h. Its other child is
 * process 1 of the pid namespace, which the kernel spares signals that must end PROGRAM, such as that of a limit. Without
 * namespaces the jail becomes PROGRAM. A step that fails ends the jail with status 126 and a message, see errors.h. Without
 * arguments it ends with status 0, which tells that a jail can execute it. Long because the order of its steps is its
 * safety: they stand together.
 */
#include <asm/signal.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/limits.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signalfd.h>
#include <linux/un.h>
#include "freestanding.h"
#include "errors.h"
#include "relay.h"
#include "addresses.h"
#include "filter.h"

enum { FIRST_FD = 6, MAX_GROUPS = 64 };
/* Constants that the kernel's headers for programs lack. */
enum { UMOUNT_DETACH = 2, WAIT_NOHANG = 1, TYPE_MASK = 0170000, TYPE_FOLDER = 0040000 };
/* Users of jails: 0x4d000000 and the pid, which has at most 22 bits (PID_MAX_LIMIT in the kernel's threads.h). */
enum { FIRST_USER = 0x4d000000 };

static char spec[128 * 1024];
static long spec_bytes;

/* Value of a word with this key; null for a word with another. */
static const char *value_of(const char *word, const char *key) {
  while (*key && *word == *key) word++, key++;
  return *key == 0 && *word == '=' ? word + 1 : 0;
}

/* The word behind `word`, the first one for null; null behind the last. */
static const char *next_word(const char *word) {
  const char *next = word ? word + length(word) + 1 : spec;
  return next < spec + spec_bytes ? next : 0;
}

static const char *find(const char *key) {
  for (const char *word = next_word(0); word; word = next_word(word)) {
    const char *value = value_of(word, key);
    if (value) return value;
  }
  return 0;
}

static unsigned long number_of(const char *text) {
  unsigned long value = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) value = value * 10 + (unsigned long)(*at - '0');
  if (at == text || *at) fail("not a number: ", text, -EINVAL);
  return value;
}

static void read_spec(const char *path) {
  long fd = check(call(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0), "cannot open ", path);
  long bytes;
  do {
    bytes = check(call(__NR_read, fd, (long)spec + spec_bytes, sizeof spec - spec_bytes, 0), "cannot read ", path);
    spec_bytes += bytes;
  } while (bytes > 0);
  if (spec_bytes == sizeof spec || (spec_bytes && spec[spec_bytes - 1])) fail("cannot understand ", path, -EINVAL);
  call(__NR_close, fd, 0, 0, 0);
}

/* Closes the descriptors from `first` on. close_range(2) came with Linux 5.9. */
static void close_from(unsigned first) {
  if (call(__NR_close_range, first, ~0U, 0, 0) == 0) return;
  for (unsigned fd = first; fd < 65536; fd++) call(__NR_close, fd, 0, 0, 0);
}

static long open_socket(const char *path, int listens) {
  static struct sockaddr_un address = {.sun_family = FAMILY_UNIX};
  long bytes = length(path);
  if (bytes >= (long)sizeof address.sun_path) fail("too long for a socket: ", path, -ENAMETOOLONG);
  for (long at = 0; at <= bytes; at++) address.sun_path[at] = path[at];
  long fd = check(call(__NR_socket, FAMILY_UNIX, SOCKET_STREAM, 0, 0), "cannot make a socket for ", path);
  long size = sizeof address.sun_family + bytes + 1;
  long error = call(listens ? __NR_bind : __NR_connect, fd, (long)&address, size, 0);
  if (error == 0 && listens) error = call(__NR_listen, fd, 1, 0, 0);
  check(error, listens ? "cannot listen on " : "cannot connect to ", path);
  return fd;
}

static void open_files(void) {
  long expected = FIRST_FD;
  for (const char *word = next_word(0); word; word = next_word(word)) {
    const char *path;
    long fd;
    if ((path = value_of(word, "listen"))) fd = open_socket(path, 1);
    else if ((path = value_of(word, "connect"))) fd = open_socket(path, 0);
    else if ((path = value_of(word, "read"))) fd = call(__NR_openat, AT_FDCWD, (long)path, O_RDONLY, 0);
    else if ((path = value_of(word, "write"))) fd = call(__NR_openat, AT_FDCWD, (long)path, O_RDWR, 0);
    else if ((path = value_of(word, "append")))
      fd = call(__NR_openat, AT_FDCWD, (long)path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    else continue;
    check(fd, "cannot open ", path);
    if (fd != expected++) fail("an inherited descriptor is missing for ", path, -EBADF);
  }
}

static void limit(int resource, const char *key, const char *value) {
  if (!value) return;
  struct rlimit64 limits;
  unsigned long most = number_of(value);
  check(call(__NR_prlimit64, 0, resource, 0, (long)&limits), "cannot read the limit ", key);
  if (most > limits.rlim_max) most = limits.rlim_max;
  limits.rlim_cur = limits.rlim_max = most;
  check(call(__NR_prlimit64, 0, resource, (long)&limits, 0), "cannot set the limit ", key);
}

static void write_file(const char *path, const char *text) {
  long fd = check(call(__NR_openat, AT_FDCWD, (long)path, O_WRONLY | O_CLOEXEC, 0), "cannot open ", path);
  check(call(__NR_write, fd, (long)text, length(text), 0), "cannot write ", path);
  call(__NR_close, fd, 0, 0, 0);
}

static void write_decimal(char *at, unsigned long number) {
  unsigned long scale = 1;
  while (number / scale >= 10) scale *= 10;
  for (; scale > 0; scale /= 10) *at++ = '0' + number / scale % 10;
  *at = 0;
}

/*
 * Maps one user or group: all that user_namespaces(7) allows to a user without privileges. To number 0, which slirp4netns
 * becomes for its sandbox. It gets nothing by that, as it has no capabilities.
 */
static void map_to_zero(const char *path, unsigned long id) {
  char text[32] = "0 ";
  write_decimal(text + 2, id);
  char *end = text + length(text);
  *end++ = ' ';
  *end++ = '1';
  *end = 0;
  write_file(path, text);
}

/* Reads a dotted address; returns the character behind it. */
static const char *read_address(const char *text, unsigned *address) {
  unsigned char *bytes = (unsigned char *)address;
  for (int at = 0; at < 4; at++) {
    unsigned value = 0;
    const char *first = text;
    for (; *text >= '0' && *text <= '9' && value < 256; text++) value = value * 10 + (unsigned)(*text - '0');
    if (text == first || value > 255 || (at < 3 && *text++ != '.')) fail("not an address: ", first, -EINVAL);
    bytes[at] = (unsigned char)value;
  }
  return text;
}

/* Reads a port number behind a colon; returns the character behind it. */
static const char *read_port(const char *text, unsigned *port) {
  *port = 0;
  if (*text++ != ':') fail("not a port: ", text, -EINVAL);
  for (; *text >= '0' && *text <= '9' && *port < 65536; text++) *port = *port * 10 + (unsigned)(*text - '0');
  return text;
}

/* Opens the ports while the network is still that of the host, to which the sockets belong for good. */
static void listen_for_forwards(void) {
  for (const char *word = next_word(0); word; word = next_word(word)) {
    const char *value = value_of(word, "forward");
    if (!value) continue;
    unsigned address, port, inner;
    const char *rest = read_port(read_port(read_address(value, &address), &port), &inner);
    if (*rest || port > 65535 || inner > 65535) fail("not a forward: ", value, -EINVAL);
    check_or_try(add_listener(address, port, inner), "cannot listen on ", value, "see which program has the port");
  }
}

/* Argument of ioctl(2) in netdevice(7), whose header needs a C library. */
struct interface_request { char name[16]; short flags, rest[11]; };
enum { INTERFACE_UP = 1 };

static void set_up_network(void) {
  static struct interface_request request = {.name = "lo", .flags = INTERFACE_UP};
  long fd = call(__NR_socket, FAMILY_INET, SOCKET_DATAGRAM | SOCKET_CLOEXEC, 0, 0);
  jail_routes = check(fd, "no socket can be made", "");
  check(call(__NR_ioctl, jail_routes, SIOCSIFFLAGS, (long)&request, 0), "cannot set up ", "lo");
  for (const char *word = next_word(0); word; word = next_word(word)) {
    const char *value = value_of(word, "unreachable");
    if (!value) continue;
    unsigned address, mask;
    const char *rest = read_address(value, &address);
    if (*rest != '/' || *read_address(rest + 1, &mask)) fail("not a network: ", value, -EINVAL);
    make_unreachable(address, mask);
  }
  if (host_addresses < 0) return;
  ask_for_addresses();
  while (!take_addresses()) {}
}

/*
 * The process that becomes slirp4netns leaves the jail before there is one, since it needs the network of the host, and
 * all that it is told is the end of two pipes: that the namespaces are there, and that the jail has ended.
 */
static struct { int start[2], ready[2], life[2]; } slirp = {{-1, -1}, {-1, -1}, {-1, -1}};

static void prepare_way_out(const char *program) {
  static char jail[24], ready[24], life[24];
  check(call(__NR_pipe2, (long)slirp.start, O_CLOEXEC, 0, 0), "no pipe can be made", "");
  check(call(__NR_pipe2, (long)slirp.ready, 0, 0, 0), "no pipe can be made", "");
  check(call(__NR_pipe2, (long)slirp.life, 0, 0, 0), "no pipe can be made", "");
  write_decimal(jail, call(__NR_getpid, 0, 0, 0, 0));
  write_decimal(ready, slirp.ready[1]);
  write_decimal(life, slirp.life[0]);
  if (check(call(__NR_clone, SIGCHLD, 0, 0, 0), "no process can be made", "") != 0) {
    call(__NR_close, slirp.start[0], 0, 0, 0);
    call(__NR_close, slirp.ready[1], 0, 0, 0);
    return;
  }
  char nothing, *environment[] = {0};
  char *words[] = {(char *)program, "--configure", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp",
                   "--ready-fd", ready, "--exit-fd", life, jail, "tap0", 0};
  call(__NR_close, slirp.start[1], 0, 0, 0);
  call(__NR_close, slirp.life[1], 0, 0, 0);
  if (call(__NR_read, slirp.start[0], (long)&nothing, 1, 0) != 1) end(FAILED);
  /* It gets none of the program's files but the console, for its errors: what it tells of its work goes nowhere. */
  for (int fd = 3; fd < slirp.start[0]; fd++) call(__NR_close, fd, 0, 0, 0);
  call(__NR_dup3, 0, 1, 0, 0);
  fail("cannot execute ", program, call(__NR_execve, (long)program, (long)words, (long)environment, 0));
}

static void open_way_out(const char *program) {
  char nothing;
  call(__NR_write, slirp.start[1], (long)"x", 1, 0);
  if (call(__NR_read, slirp.ready[0], (long)&nothing, 1, 0) != 1)
    give_up("no way out was made by ", program, -ENETDOWN, "its own message says why; local_only = true needs none");
  call(__NR_close, slirp.start[1], 0, 0, 0);
  call(__NR_close, slirp.ready[0], 0, 0, 0);
}

static void make_namespaces(const char *kind) {
  long flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
  if (*kind == 'u') {
    long uid = call(__NR_getuid, 0, 0, 0, 0), gid = call(__NR_getgid, 0, 0, 0, 0);
    check_or_try(call(__NR_unshare, CLONE_NEWUSER, 0, 0, 0), "no user namespace can be made", "",
                 "see the settings user.max_user_namespaces, kernel.unprivileged_userns_clone and "
                 "kernel.apparmor_restrict_unprivileged_userns of sysctl, or run the daemon as root");
    write_file("/proc/self/setgroups", "deny");
    map_to_zero("/proc/self/uid_map", uid);
    map_to_zero("/proc/self/gid_map", gid);
  }
  check_or_try(call(__NR_unshare, flags, 0, 0, 0), "no private namespaces can be made", "",
               "a container or a security module may forbid it, or a limit of namespaces(7)");
  check(call(__NR_sethostname, (long)"jail", 4, 0, 0), "the host name cannot be set", "");
  set_up_network();
}

/* Binds a file of the host below `root`, read-only, and makes the folders that lead to it. */
static void bind(const char *root, const char *path, long flags) {
  char place[2 * PATH_MAX];
  long bytes = 0;
  for (const char *from = root; *from; from++) place[bytes++] = *from;
  long start = bytes;
  for (const char *from = path; *from; from++) {
    if (bytes >= (long)sizeof place - 1) fail("too long: ", path, -ENAMETOOLONG);
    if (*from == '/' && bytes > start) {
      place[bytes] = 0;
      call(__NR_mkdirat, AT_FDCWD, (long)place, 0755, 0);
    }
    place[bytes++] = *from;
  }
  place[bytes] = 0;
  struct stat stats;
  check(call(__NR_newfstatat, AT_FDCWD, (long)path, (long)&stats, 0), "cannot find ", path);
  if ((stats.st_mode & TYPE_MASK) == TYPE_FOLDER) call(__NR_mkdirat, AT_FDCWD, (long)place, 0755, 0);
  else call(__NR_close, call(__NR_openat, AT_FDCWD, (long)place, O_WRONLY | O_CREAT | O_CLOEXEC, 0444), 0, 0, 0);
  check(call5(__NR_mount, (long)path, (long)place, 0, MS_BIND, 0), "cannot bind ", path);
  /*
   * A mount of another user namespace keeps its own restrictions, mount_namespaces(7), which have the same numbers in
   * statfs(2) and mount(2). Without a word about times of access they stay as they are, too.
   */
  struct statfs64 mounted;
  check(call(__NR_statfs, (long)place, (long)&mounted, 0, 0), "cannot inspect ", path);
  flags |= mounted.f_flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC);
  check(call5(__NR_mount, 0, (long)place, 0, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | flags, 0),
        "cannot make read-only: ", path);
}

static void change_root(const char *root) {
  check(call5(__NR_mount, 0, (long)"/", 0, MS_REC | MS_PRIVATE, 0), "mounts cannot be made private", "");
  check(call5(__NR_mount, (long)"jail", (long)root, (long)"tmpfs", MS_NOSUID | MS_NODEV, (long)"mode=0755,size=1m"),
        "no root can be mounted on ", root);
  for (const char *word = next_word(0); word; word = next_word(word)) {
    const char *path;
    if ((path = value_of(word, "file"))) bind(root, path, MS_NODEV);
    else if ((path = value_of(word, "device"))) bind(root, path, MS_NOEXEC);
  }
  check(call(__NR_chdir, (long)root, 0, 0, 0), "cannot enter ", root);
  if (find("way-out")) {
    /* The DNS server of slirp4netns. */
    call(__NR_mkdirat, AT_FDCWD, (long)"etc", 0755, 0);
    long fd = call(__NR_openat, AT_FDCWD, (long)"etc/resolv.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
    call(__NR_close, check(fd, "cannot make ", "etc/resolv.conf"), 0, 0, 0);
    write_file("etc/resolv.conf", "nameserver 10.0.2.3\n");
  }
  check(call(__NR_pivot_root, (long)".", (long)".", 0, 0), "the root cannot be changed to ", root);
  check(call(__NR_umount2, (long)".", UMOUNT_DETACH, 0, 0), "the host's root cannot be unmounted", "");
  check(call5(__NR_mount, 0, (long)"/", 0, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, 0),
        "the root cannot be made read-only", "");
  check(call(__NR_chdir, (long)"/", 0, 0, 0), "the root cannot be entered", "");
}

static unsigned id_of(const char *text) {
  return *text == 'o' ? FIRST_USER + (unsigned)call(__NR_getpid, 0, 0, 0, 0) : (unsigned)number_of(text);
}

static void change_user(const char *user) {
  unsigned groups[MAX_GROUPS], uid = id_of(user);
  long count = 0;
  for (const char *word = next_word(0); word; word = next_word(word)) {
    const char *group = value_of(word, "group");
    if (!group) continue;
    if (count == MAX_GROUPS) fail("too many groups for ", user, -EINVAL);
    groups[count++] = id_of(group);
  }
  if (count == 0) fail("no group for ", user, -EINVAL);
  check(call(__NR_setgroups, count, (long)groups, 0, 0), "the groups cannot be set for ", user);
  check(call(__NR_setresgid, groups[0], groups[0], groups[0], 0), "the group cannot be set for ", user);
  check(call(__NR_setresuid, uid, uid, uid, 0), "cannot become the user ", user);
}

/* Empties the bounding set, where that is allowed: no user 0 gets capabilities by executing a program. */
static void drop_bounding_set(void) {
  for (int capability = 0; capability < 64; capability++) call5(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
}

static void drop_privileges(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
  call5(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  check(call(__NR_capset, (long)&header, (long)none, 0, 0), "capabilities cannot be dropped", "");
  check(call5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs cannot be set", "");
}

/*
 * Starts the process that watches the addresses of the host: as another user, with the right to change the network of the
 * jail, and with nothing else. It is outside of the pid namespace, and ends with the jail.
 */
static void keep_unreachable(const char *user) {
  if (check(call(__NR_clone, SIGCHLD, 0, 0, 0), "no process can be made", "") != 0) {
    call(__NR_close, slirp.life[0], 0, 0, 0);
    call(__NR_close, host_addresses, 0, 0, 0);
    return;
  }
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct network[2] = {{1 << CAP_NET_ADMIN, 1 << CAP_NET_ADMIN, 0}, {0, 0, 0}};
  /* In place of the standard streams, which must not outlive the program. */
  const long kept[] = {host_addresses, jail_routes, slirp.life[0]};
  for (int fd = 0; fd < 3; fd++) check(call(__NR_dup3, kept[fd], fd, 0, 0), "no descriptor can be kept", "");
  close_from(3);
  host_addresses = 0;
  jail_routes = 1;
  drop_bounding_set();
  check(call5(__NR_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0), "capabilities cannot be kept", "");
  if (user) change_user(user);
  check(call(__NR_capset, (long)&header, (long)network, 0, 0), "capabilities cannot be dropped", "");
  check(call5(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs cannot be set", "");
  watch_addresses(2);
}

static _Noreturn void execute(char **words) {
  char *environment[] = {0};
  limit(RLIMIT_NOFILE, "open-files", find("open-files"));
  filter_calls();
  fail("cannot execute ", words[0], call(__NR_execve, (long)words[0], (long)words, (long)environment, 0));
}

/* Waits for the program, passes signals on to it, ends its process 1, and ends as it did. */
static _Noreturn void attend(long program, long first, unsigned long *signals) {
  int status = 0;
  long fd = call(__NR_signalfd4, -1, (long)signals, sizeof *signals, SFD_CLOEXEC);
  for (;;) {
    struct signalfd_siginfo info;
    relay_until(fd, spec, sizeof spec);
    if (call(__NR_read, fd, (long)&info, sizeof info, 0) != sizeof info) continue;
    if (info.ssi_signo != SIGCHLD) {
      call(__NR_kill, program, info.ssi_signo, 0, 0);
      continue;
    }
    long ended;
    int cause = 0;
    /* Without its way out, or its process 1, the program ends, too. */
    while ((ended = call(__NR_wait4, -1, (long)&cause, WAIT_NOHANG, 0)) > 0) {
      if (ended == program) status = cause;
      else call(__NR_kill, program, SIGKILL, 0, 0);
      if (ended == first) first = 0;
      if (ended == program) goto over;
    }
  }
over:
  if (first) {
    call(__NR_kill, first, SIGKILL, 0, 0);
    call(__NR_wait4, first, 0, 0, 0);
  }
  int cause = status & 0x7f;
  if (cause == 0) end(status >> 8 & 0xff);
  unsigned long none = 0;
  call(__NR_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof none);
  call(__NR_kill, call(__NR_getpid, 0, 0, 0, 0), cause, 0, 0);
  end(128 + cause);
}

/* Closes everything but two descriptors. */
static void keep_only(int one, int two) {
  int low = one < two ? one : two, high = one < two ? two : one;
  for (int fd = 0; fd < high; fd++)
    if (fd != low && !is_listener(fd)) call(__NR_close, fd, 0, 0, 0);
  close_from(high + 1);
}

/*
 * Executes the program as the second process of the new pid namespace. The first one waits for the end of a pipe, which is
 * that of the jail, and when it ends, the kernel kills the program.
 */
static _Noreturn void execute_as_child(char **words) {
  unsigned long all = ~0UL, inherited;
  int life[2];
  check(call(__NR_pipe2, (long)life, O_CLOEXEC, 0, 0), "no pipe can be made", "");
  call(__NR_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&inherited, sizeof all);
  long first = check(call(__NR_clone, SIGCHLD, 0, 0, 0), "no process can be made", "");
  if (first == 0) {
    char nothing;
    forget_listeners();
    keep_only(life[0], life[0]);
    while (call(__NR_read, life[0], (long)&nothing, 1, 0) == -EINTR) {}
    end(0);
  }
  long program = check(call(__NR_clone, SIGCHLD, 0, 0, 0), "no process can be made", "");
  if (program == 0) {
    /* Its process group does not contain the jail. */
    call(__NR_setpgid, 0, 0, 0, 0);
    call(__NR_rt_sigprocmask, SIG_SETMASK, (long)&inherited, 0, sizeof inherited);
    if (slirp.life[1] >= 0) call(__NR_close, slirp.life[1], 0, 0, 0);
    execute(words);
  }
  /* The streams end with the program. */
  keep_only(life[1], slirp.life[1] < 0 ? life[1] : slirp.life[1]);
  attend(program, first, &all);
}

static _Noreturn void run(long *stack) {
  long argc = stack[0];
  char **argv = (char **)(stack + 1);
  if (argc < 3) end(argc == 1 ? 0 : FAILED);
  close_from(FIRST_FD);
  read_spec(argv[1]);
  open_files();
  listen_for_forwards();
  if (find("way-out")) listen_for_addresses();
  limit(RLIMIT_FSIZE, "file-bytes", find("file-bytes"));
  limit(RLIMIT_CORE, "core", "0");
  const char *namespaces = find("namespaces"), *root = find("root"), *user = find("user"), *way_out = find("way-out");
  if (way_out) prepare_way_out(way_out);
  if (namespaces) make_namespaces(namespaces);
  if (way_out) keep_unreachable(user);
  /* For the children from here on. */
  if (namespaces) check(call(__NR_unshare, CLONE_NEWPID, 0, 0, 0), "no private pid namespace can be made", "");
  call(__NR_close, jail_routes, 0, 0, 0);
  if (way_out) open_way_out(way_out);
  if (root) change_root(root);
  drop_bounding_set();
  if (user) change_user(user);
  drop_privileges();
  if (namespaces) execute_as_child(argv + 2);
  execute(argv + 2);
}

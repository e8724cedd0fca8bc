#define _GNU_SOURCE
#include "machine.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include "files.h"
#include "frames.h"

void mount_kernel_files(void) {
  /* Linux, admin-guide/devices.rst, "Compulsory links". */
  static const char *const links[][2] = {
    {"/proc/self/fd", "/dev/fd"}, {"fd/0", "/dev/stdin"}, {"fd/1", "/dev/stdout"}, {"fd/2", "/dev/stderr"}};
  mount("dev", "/dev", "devtmpfs", 0, NULL);
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sys", "/sys", "sysfs", 0, NULL);
  for (size_t at = 0; at < sizeof links / sizeof *links; at++) symlink(links[at][0], links[at][1]);
  mkdir("/dev/pts", 0755);
  mkdir("/dev/shm", 01777);
  mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
  mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

static void load_module(const char *name) {
  struct text path = {0};
  add(&path, "/lib/modules/");
  add(&path, name);
  add(&path, ".ko");
  int fd = open(path.at, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  syscall(SYS_finit_module, fd, "", 0);
  close(fd);
}

void load_modules(const char *purpose) {
  struct text path = {0};
  add(&path, "/lib/modules/");
  add(&path, purpose);
  add(&path, ".list");
  char *names = read_text(AT_FDCWD, path.at, 4096), *rest = names, *name;
  if (!names) return;
  while ((name = strsep(&rest, " \n"))) if (*name) load_module(name);
  free(names);
}

/* Opens the port that has this name, if there is one; -1 where not. */
static int find_port(const char *name) {
  static const char folder[] = "/sys/class/virtio-ports";
  int fd = -1;
  DIR *dir = opendir(folder);
  if (!dir) return -1;
  for (struct dirent *entry; fd < 0 && (entry = readdir(dir));) {
    struct text path = {0};
    add(&path, folder);
    add(&path, "/");
    add(&path, entry->d_name);
    add(&path, "/name");
    char *found = read_text(AT_FDCWD, path.at, 64);
    if (found && strncmp(found, name, strlen(name)) == 0 && found[strlen(name)] == '\n') {
      path.bytes = 0;
      add(&path, "/dev/");
      add(&path, entry->d_name);
      fd = open(path.at, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    free(found);
  }
  closedir(dir);
  return fd;
}

int open_port(const char *name) {
  /* Most often it is there at once. A loop that never sleeps would keep the processor from the kernel that adds it. */
  for (int tries = 0;; tries++) {
    int fd = find_port(name);
    if (fd >= 0) return fd;
    struct timespec pause = {0, tries < 50 ? 1000000 : 10000000};
    nanosleep(&pause, NULL);
    if (tries == 1000) {
      struct text notice = {0};
      add(&notice, "monocore: the guest waits for its port ");
      add(&notice, name);
      add(&notice, "\n");
      write(2, notice.at, notice.bytes);
    }
  }
}

int find_disk(const char *serial, struct text *path) {
  DIR *dir = opendir("/sys/block");
  int found = 0;
  if (!dir) return 0;
  for (struct dirent *entry; !found && (entry = readdir(dir));) {
    if (strncmp(entry->d_name, "vd", 2) != 0) continue;
    struct text file = {0};
    add(&file, "/sys/block/");
    add(&file, entry->d_name);
    add(&file, "/serial");
    char *content = read_text(AT_FDCWD, file.at, 64);
    if (content && strcmp(content, serial) == 0) {
      add(path, "/dev/");
      add(path, entry->d_name);
      found = 1;
    }
    free(content);
  }
  closedir(dir);
  return found;
}

void set_host_name(const char *name) { sethostname(name, strlen(name)); }

/* Sets an address of an interface; `request` is SIOCSIFADDR or SIOCSIFNETMASK. */
static int set_address(int fd, struct ifreq *interface, unsigned long request, const char *address) {
  struct sockaddr_in in = {.sin_family = AF_INET};
  if (!address || inet_pton(AF_INET, address, &in.sin_addr) != 1) return -1;
  memcpy(&interface->ifr_addr, &in, sizeof in);
  return ioctl(fd, (int)request, interface);
}

static int set_up(int fd, const char *name, const char *address, const char *netmask) {
  struct ifreq interface = {0};
  strncpy(interface.ifr_name, name, sizeof interface.ifr_name - 1);
  if (address && set_address(fd, &interface, SIOCSIFADDR, address) < 0) return -1;
  if (address && set_address(fd, &interface, SIOCSIFNETMASK, netmask) < 0) return -1;
  if (ioctl(fd, SIOCGIFFLAGS, &interface) < 0) return -1;
  interface.ifr_flags |= IFF_UP;
  return ioctl(fd, SIOCSIFFLAGS, &interface);
}

static int set_default_route(int fd, const char *gateway) {
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
  struct sockaddr_in to = {.sin_family = AF_INET};
  route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
  if (!gateway || inet_pton(AF_INET, gateway, &to.sin_addr) != 1) return -1;
  memcpy(&route.rt_gateway, &to, sizeof to);
  return ioctl(fd, SIOCADDRT, &route);
}

/* No member of the group answers IPv6, and the switch drops it. */
static void disable_ipv6(const char *name) {
  struct text path = {0};
  add(&path, "/proc/sys/net/ipv6/conf/");
  add(&path, name);
  add(&path, "/disable_ipv6");
  write_text(path.at, "1");
}

/* Up to two devices in an unreliable order: the address identifies that of the group. */
int set_network(struct words job) {
  const char *ip = first_value(job, "ip"), *group_mac = first_value(job, "group_mac");
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), is_set = 1, outer = 0, group = 0;
  set_up(fd, "lo", NULL, NULL);
  if (ip || group_mac) load_modules("network");
  DIR *dir = ip || group_mac ? opendir("/sys/class/net") : NULL;
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    const char *name = entry->d_name;
    if (strncmp(name, "eth", 3) != 0) continue;
    struct text path = {0};
    add(&path, "/sys/class/net/");
    add(&path, name);
    add(&path, "/address");
    char *mac = read_text(AT_FDCWD, path.at, 64);
    if (mac && group_mac && strncmp(mac, group_mac, strlen(group_mac)) == 0) {
      disable_ipv6(name);
      group = 1;
      if (set_up(fd, name, first_value(job, "group_ip"), first_value(job, "group_netmask")) < 0) is_set = 0;
    } else if (ip) {
      outer = 1;
      if (set_up(fd, name, ip, first_value(job, "netmask")) < 0) is_set = 0;
    }
    free(mac);
  }
  if (dir) closedir(dir);
  if (ip && (!outer || set_default_route(fd, first_value(job, "gateway")) < 0)) is_set = 0;
  if (group_mac && !group) is_set = 0;
  close(fd);
  return is_set;
}

void set_clock(const unsigned char *time) {
  struct timespec now = {.tv_sec = (time_t)read_u64(time), .tv_nsec = (long)read_u32(time + 8)};
  clock_settime(CLOCK_REALTIME, &now);
}

int was_out_of_memory(void) {
  char *counts = read_text(AT_FDCWD, "/proc/vmstat", 65536);
  const char *kills = counts ? strstr(counts, "\noom_kill ") : NULL;
  int killed = kills && kills[strlen("\noom_kill ")] != '0';
  free(counts);
  return killed;
}

void power_off(void) {
  sync();
  /* A file system that cannot be made read-only any more has a journal. Without a disk it is memory. */
  mount(NULL, "/run/rw", NULL, MS_REMOUNT | MS_RDONLY, NULL);
  reboot(RB_AUTOBOOT);
}

#define _GNU_SOURCE
#include "root.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files.h"
#include "machine.h"

const char *root_path = "/";
int root_fd = -1;

static const char SECRETS[] = "/run/secrets";
static int has_secrets;

int keep_secret(const char *name, const unsigned char *content, size_t bytes) {
  if (!has_secrets) {
    mkdir(SECRETS, 0500);
    if (mount("secrets", SECRETS, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0500") < 0) return -1;
    has_secrets = 1;
  }
  int folder = open(SECRETS, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0400);
  close(folder);
  if (fd < 0) return -1;
  ssize_t written = 0;
  for (size_t at = 0; at < bytes && written >= 0; at += (size_t)written) written = write(fd, content + at, bytes - at);
  close(fd);
  return written < 0 ? -1 : 0;
}

void drop_secrets(void) {
  if (has_secrets) umount2(SECRETS, MNT_DETACH);
  has_secrets = 0;
}

/* Mounts the share of the host: `root`, and the volumes by their numbers. The host enforces read-only. */
static int mount_share(void) {
  load_modules("share");
  mkdir("/run/share", 0755);
  return mount("share", "/run/share", "virtiofs", 0, NULL);
}

/* Mounts the layer that the job writes to: its disk, else memory. The kernel replays the journal of a killed machine. */
static int mount_layer(int is_disk) {
  struct text disk = {0};
  if (!is_disk) return mount("rw", "/run/rw", "tmpfs", 0, NULL);
  load_modules("disk");
  if (!find_disk("disk", &disk)) return -1;
  /* Discarded blocks go back to the host. */
  return mount(disk.at, "/run/rw", "ext4", MS_NOATIME, "discard,errors=remount-ro");
}

static int mount_image(void) {
  struct text image = {0};
  load_modules("image");
  return find_disk("image", &image) ? mount(image.at, "/run/lower", "erofs", MS_RDONLY, NULL) : -1;
}

/* A folder of the root that something can be mounted on, whatever links lead to it. */
static int open_place(const char *path) { return make_folder(root_fd, path, 0755); }

static int mount_in_root(const char *source, const char *path, const char *type, unsigned long flags) {
  int place = open_place(path);
  if (place < 0) return -1;
  int result = mount(source, path_of(place), type, flags, NULL);
  close(place);
  return result;
}

/* Mounts memory on a folder of the root, and copies into it what the folder has. */
static int mount_memory(const char *name, const char *path, const char *options) {
  static const char fresh[] = "/run/fresh";
  int place = open_place(path), result = -1;
  if (place < 0) return -1;
  int old = open(path_of(place), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  mkdir(fresh, 0755);
  if (old >= 0 && mount(name, fresh, "tmpfs", 0, options) == 0) {
    int copy = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy >= 0) result = copy_tree(old, copy);
    if (copy >= 0) close(copy);
    if (result == 0) result = mount(fresh, path_of(place), NULL, MS_MOVE, NULL);
    if (result < 0) umount2(fresh, MNT_DETACH);
  }
  if (old >= 0) close(old);
  close(place);
  return result;
}

/*
 * Mounts the root: that of an image, that of the host's share, both read-only, or the built-in one, below the layer that
 * the job writes to.
 */
static int mount_root(const char *kind, int is_image) {
  const char *lower = "lowerdir=/,upperdir=/run/rw/upper,workdir=/run/rw/work";
  /* The path needs a suffix to lead into the share, which is a file system of its own. */
  if (kind) lower = "lowerdir=/run/share/root/.,upperdir=/run/rw/upper,workdir=/run/rw/work";
  if (is_image) lower = "lowerdir=/run/lower,upperdir=/run/rw/upper,workdir=/run/rw/work";
  if (is_image && mount_image() < 0) return -1;
  load_modules("root");
  mkdir("/run/rw/upper", 0755);
  mkdir("/run/rw/work", 0755);
  if (mount("overlay", "/newroot", "overlay", 0, lower) < 0) return -1;
  root_fd = open("/newroot", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root_fd < 0) return -1;
  root_path = "/newroot";
  int etc = is_image ? open_place("/etc") : -1;
  if (etc >= 0) close(etc);
  int proc = open_place("/proc");
  if (proc >= 0) close(proc);
  if (mount_in_root("/dev", "/dev", NULL, MS_BIND | MS_REC) < 0 || mount_in_root("sys", "/sys", "sysfs", 0) < 0) return -1;
  return mount_memory("run", "/run", "mode=0755") < 0 ? -1 : mount_memory("tmp", "/tmp", "mode=1777");
}

/* Binds a volume, which is `<ro|rw>:<name in the share>:<place>`, to its place, which is made when it is missing. */
static int bind_volume(const char *volume) {
  const char *name = volume + 3, *colon = strchr(name, ':');
  int is_read_only = volume[1] == 'o';
  struct text source = {0};
  struct stat stats;
  if (!colon) return -1;
  add(&source, "/run/share/");
  size_t before = source.bytes;
  add(&source, name);
  source.at[before + (size_t)(colon - name)] = 0;
  if (stat(source.at, &stats) < 0) return -1;
  int place = S_ISDIR(stats.st_mode) ? make_folder(root_fd, colon + 1, 0755) : make_file(root_fd, colon + 1);
  if (place < 0) return -1;
  int result = mount(source.at, path_of(place), NULL, MS_BIND, NULL);
  close(place);
  if (result < 0 || !is_read_only) return result;
  place = open_inside(root_fd, colon + 1, O_PATH);
  if (place < 0) return -1;
  result = mount(NULL, path_of(place), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
  close(place);
  return result;
}

static int bind_secrets(void) {
  if (root_path[1] == 0) return 0;
  return mount_in_root(SECRETS, SECRETS, NULL, MS_BIND);
}

static void write_resolver(const char *dns) {
  struct text content = {0};
  int etc = open_inside(root_fd, "/etc", O_PATH | O_DIRECTORY);
  if (etc < 0) return;
  add(&content, "nameserver ");
  add(&content, dns);
  add(&content, "\n");
  replace_file(etc, "resolv.conf", content.at, content.bytes);
  close(etc);
}

static int fail(struct text *why, const char *reason) {
  add(why, reason);
  return 0;
}

int set_root(struct words job, struct text *why) {
  const char *kind = first_value(job, "root"), *volume = first_value(job, "volume"), *dns = first_value(job, "dns");
  int is_disk = first_value(job, "disk") != NULL, is_image = kind && strcmp(kind, "image") == 0;
  int is_shared = kind && !is_image;
  root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if ((is_shared || volume) && mount_share() < 0) return fail(why, "the files of the host could not be mounted");
  if (kind || is_disk) {
    close(root_fd);
    if (mount_layer(is_disk) < 0) {
      return fail(why, is_disk ? "the disk of the guest could not be mounted" : "the root could not be mounted");
    }
    if (mount_root(kind, is_image) < 0) return fail(why, "the root could not be mounted");
  }
  if (dns) write_resolver(dns);
  for (const char *each = volume; each; each = next_value(job, "volume", each)) {
    if (bind_volume(each) == 0) continue;
    add(why, "the volume ");
    add(why, strchr(each + 3, ':') ? strchr(each + 3, ':') + 1 : each);
    return fail(why, " could not be mounted");
  }
  /* The volumes need no second mount point. */
  if (volume) umount2("/run/share", MNT_DETACH);
  if (has_secrets && bind_secrets() < 0) return fail(why, "the secrets could not be mounted");
  return 1;
}

void leave_root(struct words job) {
  for (const char *volume = NULL; (volume = next_value(job, "volume", volume));) {
    int place = open_inside(root_fd, strchr(volume + 3, ':') + 1, O_PATH);
    if (place >= 0) {
      umount2(path_of(place), MNT_DETACH);
      close(place);
    }
  }
  if (root_path[1] != 0) umount2(root_path, MNT_DETACH);
  close(root_fd);
  root_fd = -1;
}

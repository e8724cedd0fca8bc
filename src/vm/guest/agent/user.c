#include "user.h"
#include <string.h>

/* Fields of a line of passwd(5) or group(5). */
enum { MAX_FIELDS = 7 };
struct line {
  const char *field[MAX_FIELDS];
  size_t bytes[MAX_FIELDS];
};

/* Reads the line at `*at`, advances it, and returns 0 at the end of the text. The last field takes the rest. */
static int read_line(const char **at, struct line *line, int fields) {
  if (!*at || !**at) return 0;
  const char *from = *at;
  size_t bytes = strcspn(from, "\n");
  *at = from + bytes + (from[bytes] != 0);
  for (int field = 0; field < fields; field++) {
    const char *colon = field < fields - 1 ? memchr(from, ':', bytes) : NULL;
    line->field[field] = from;
    line->bytes[field] = colon ? (size_t)(colon - from) : bytes;
    from += line->bytes[field];
    bytes -= line->bytes[field];
    if (colon) {
      from++;
      bytes--;
    }
  }
  return 1;
}

static int is_field(const struct line *line, int field, const char *text, size_t bytes) {
  return line->bytes[field] == bytes && memcmp(line->field[field], text, bytes) == 0;
}

/* As the kernel: ids are 32 bits, runtimes take no more than 31. */
static int read_id(const char *text, size_t bytes, unsigned *id) {
  char copy[11];
  unsigned long value;
  if (bytes == 0 || bytes >= sizeof copy) return 0;
  memcpy(copy, text, bytes);
  copy[bytes] = 0;
  if (!read_number(copy, 0x7fffffff, &value)) return 0;
  *id = (unsigned)value;
  return 1;
}

static int is_digits(const char *text, size_t bytes) {
  return bytes > 0 && strspn(text, "0123456789") >= bytes;
}

/* True when `name` is one of the words between commas. */
static int is_member(const char *list, size_t bytes, const char *name, size_t name_bytes) {
  const char *end = list + bytes;
  while (list <= end) {
    const char *comma = memchr(list, ',', (size_t)(end - list));
    size_t length = (size_t)((comma ? comma : end) - list);
    if (length == name_bytes && memcmp(list, name, length) == 0) return 1;
    if (!comma) return 0;
    list = comma + 1;
  }
  return 0;
}

static void add_bytes(struct text *text, const char *more, size_t bytes) {
  char copy[256];
  if (bytes >= sizeof copy) bytes = sizeof copy - 1;
  memcpy(copy, more, bytes);
  copy[bytes] = 0;
  add(text, copy);
}

static int fail(struct text *why, const char *before, const char *name, size_t bytes, const char *behind) {
  add(why, before);
  add_bytes(why, name, bytes);
  add(why, behind);
  return 0;
}

int find_user(const char *spec, const char *passwd, const char *group, struct user *user, struct text *why) {
  const char *colon = strchr(spec, ':');
  const char *group_name = colon ? colon + 1 : "";
  size_t name_bytes = colon ? (size_t)(colon - spec) : strlen(spec), group_bytes = strlen(group_name);
  if (name_bytes == 0) {
    spec = "0";
    name_bytes = 1;
  }
  user->gid = 0;
  user->group_count = 1;
  strcpy(user->home, "/");

  int is_number = is_digits(spec, name_bytes), known = is_number;
  if (is_number && !read_id(spec, name_bytes, &user->uid)) return fail(why, "", spec, name_bytes, " is not a valid user id");
  const char *login = NULL;
  size_t login_bytes = 0;
  struct line line;
  while (read_line(&passwd, &line, 7)) {
    unsigned uid, gid;
    if (!read_id(line.field[2], line.bytes[2], &uid) || !read_id(line.field[3], line.bytes[3], &gid)) continue;
    if (is_number ? uid != user->uid : !is_field(&line, 0, spec, name_bytes)) continue;
    known = 1;
    login = line.field[0];
    login_bytes = line.bytes[0];
    user->uid = uid;
    user->gid = gid;
    size_t home_bytes = line.bytes[5] < sizeof user->home ? line.bytes[5] : sizeof user->home - 1;
    if (home_bytes > 0) {
      memcpy(user->home, line.field[5], home_bytes);
      user->home[home_bytes] = 0;
    }
    break;
  }
  if (!known) return fail(why, "the guest has no user ", spec, name_bytes, "");

  int found = 0;
  while (read_line(&group, &line, 4)) {
    unsigned gid;
    if (!read_id(line.field[2], line.bytes[2], &gid)) continue;
    if (group_bytes > 0) {
      if (!is_field(&line, 0, group_name, group_bytes)) continue;
      user->gid = gid;
      found = 1;
      break;
    }
    if (login && user->group_count < MAX_GROUPS && is_member(line.field[3], line.bytes[3], login, login_bytes))
      user->groups[user->group_count++] = gid;
  }
  if (group_bytes > 0) {
    unsigned gid;
    if (read_id(group_name, group_bytes, &gid)) user->gid = gid;
    else if (!found) return fail(why, "the guest has no group ", group_name, group_bytes, "");
  }
  user->groups[0] = user->gid;
  return 1;
}

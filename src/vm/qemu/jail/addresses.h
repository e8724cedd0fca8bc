/*
 * Addresses of the host that a jail with a way out cannot reach: those that it has when the jail begins, and those that it
 * gets later, which a process of the jail learns from the kernel, see rtnetlink(7). It has no other input, the right to
 * change the network of the jail, and none else.
 */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>

/* Arguments of ioctl(2) in the kernel's route.h, which needs a C library. */
struct route_request {
  unsigned long unused;
  struct sockaddr_in destination, gateway, mask;
  unsigned short flags;
  long rest[8];
};
enum { ROUTE_UP = 1, ROUTE_REJECT = 0x200 };

/* A socket of the host's network that is told of addresses, and one of the jail's to change its routes. */
static long host_addresses = -1, jail_routes = -1;

static void make_unreachable(unsigned address, unsigned mask) {
  static struct route_request route = {.flags = ROUTE_UP | ROUTE_REJECT};
  route.destination.sin_family = route.mask.sin_family = FAMILY_INET;
  route.destination.sin_addr.s_addr = address;
  route.mask.sin_addr.s_addr = mask;
  long error = call(__NR_ioctl, jail_routes, SIOCADDRT, (long)&route, 0);
  if (error != -EEXIST) check(error, "an address of the host cannot be made unreachable", "");
}

/* While the network is still that of the host, to which the socket belongs for good. */
static void listen_for_addresses(void) {
  static const char what[] = "the addresses of the host cannot be watched";
  struct sockaddr_nl name = {.nl_family = FAMILY_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR};
  host_addresses = check(call(__NR_socket, FAMILY_NETLINK, SOCKET_RAW | SOCKET_CLOEXEC, NETLINK_ROUTE, 0), what, "");
  check(call(__NR_bind, host_addresses, (long)&name, sizeof name, 0), what, "");
}

static void ask_for_addresses(void) {
  struct { struct nlmsghdr head; struct ifaddrmsg body; } request = {
      .head = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
      .body = {.ifa_family = FAMILY_INET},
  };
  check(call(__NR_write, host_addresses, (long)&request, sizeof request, 0), "the host's addresses cannot be asked for", "");
}

static void take_address(const struct nlmsghdr *message) {
  const struct ifaddrmsg *body = NLMSG_DATA(message);
  long bytes = (long)message->nlmsg_len - (long)NLMSG_SPACE(sizeof *body);
  /* Of a link between two, IFA_ADDRESS is the other end. */
  const unsigned *local = 0, *address = 0;
  for (const struct rtattr *part = IFA_RTA(body); RTA_OK(part, bytes); part = RTA_NEXT(part, bytes)) {
    if (part->rta_type == IFA_LOCAL) local = RTA_DATA(part);
    if (part->rta_type == IFA_ADDRESS) address = RTA_DATA(part);
  }
  if (!local) local = address;
  /* The jail's own loopback network has the same addresses as the host's. */
  if (body->ifa_family == FAMILY_INET && local && (*local & 0xff) != 127) make_unreachable(*local, ~0U);
}

/* Makes the addresses of the next messages unreachable; returns 1 at the end of an answer. */
static int take_addresses(void) {
  static char messages[32 * 1024] __attribute__((aligned(8)));
  long bytes = call6(__NR_recvfrom, host_addresses, (long)messages, sizeof messages, 0, 0, 0);
  if (bytes == -EINTR) return 0;
  if (bytes == -ENOBUFS) {
    /* Some were lost. */
    ask_for_addresses();
    return 0;
  }
  check(bytes, "the host's addresses cannot be read", "");
  int is_end = 0;
  for (const struct nlmsghdr *at = (void *)messages; NLMSG_OK(at, bytes); at = NLMSG_NEXT(at, bytes)) {
    if (at->nlmsg_type == RTM_NEWADDR) take_address(at);
    if (at->nlmsg_type == NLMSG_ERROR) fail("the host's addresses cannot be read", "", -EIO);
    if (at->nlmsg_type == NLMSG_DONE) is_end = 1;
  }
  return is_end;
}

/* Goes on with that until the other end of a pipe is closed. */
static _Noreturn void watch_addresses(long pipe) {
  for (;;) {
    struct pollfd polled[] = {{.fd = (int)host_addresses, .events = POLLIN}, {.fd = (int)pipe, .events = POLLIN}};
    if (call5(__NR_ppoll, (long)polled, 2, 0, 0, 0) < 0) continue;
    if (polled[1].revents) end(0);
    if (polled[0].revents) take_addresses();
  }
}

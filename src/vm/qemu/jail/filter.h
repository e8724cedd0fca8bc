/*
 * System calls that the program may not make, seccomp(2): those by which a process reaches other processes, namespaces,
 * mounts, the clock or the kernel itself. A QEMU needs none of them, and most need capabilities that it lacks, but each
 * is a way into the kernel. A list of all that it may call would depend on the versions of QEMU, of its libraries and of
 * the kernel: an update of any of them could end a VM. So what is newer than the list does not exist for the program,
 * which every library expects of a kernel. QEMU adds a list of its own later: no other program, no other user.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

/* All fail with EPERM. */
static const int denied[] = {
    /* Namespaces and mounts. */
    __NR_unshare, __NR_setns, __NR_mount, __NR_umount2, __NR_pivot_root, __NR_chroot, __NR_fsopen, __NR_fsconfig,
    __NR_fsmount, __NR_fspick, __NR_open_tree, __NR_move_mount, __NR_mount_setattr, __NR_sethostname,
    __NR_setdomainname, __NR_mknodat,
    /* Other processes, and other programs: execve(2) starts the program itself, so QEMU denies that one. */
    __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev, __NR_process_madvise, __NR_process_mrelease,
    __NR_pidfd_getfd, __NR_kcmp, __NR_migrate_pages, __NR_move_pages, __NR_execveat,
    /* The kernel. */
    __NR_init_module, __NR_finit_module, __NR_delete_module, __NR_kexec_load, __NR_kexec_file_load, __NR_reboot,
    __NR_bpf, __NR_perf_event_open, __NR_userfaultfd, __NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register,
    __NR_add_key, __NR_request_key, __NR_keyctl, __NR_syslog, __NR_lookup_dcookie, __NR_personality, __NR_vhangup,
    /* The host: its files, whatever the root, its disks and its clock. */
    __NR_open_by_handle_at, __NR_fanotify_init, __NR_fanotify_mark, __NR_acct, __NR_swapon, __NR_swapoff,
    __NR_quotactl, __NR_quotactl_fd, __NR_settimeofday, __NR_clock_settime, __NR_clock_adjtime, __NR_adjtimex,
#ifdef __x86_64__
    __NR_iopl, __NR_ioperm, __NR_modify_ldt, __NR_mknod, __NR_uselib, __NR_sysfs, __NR_ustat,
#endif
};

enum {
#ifdef __x86_64__
  ARCHITECTURE = AUDIT_ARCH_X86_64,
#else
  ARCHITECTURE = AUDIT_ARCH_AARCH64,
#endif
  /* The last one of Linux 6.1. */
  NEWEST = __NR_set_mempolicy_home_node,
  /* Numbers of another interface of x86-64, x32. */
  FOREIGN = 0x40000000,
  NEW_NAMESPACE = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP,
};

static struct sock_filter filter[2 * sizeof denied / sizeof *denied + 32];
static unsigned short filter_length;

static void add(unsigned short code, unsigned value, unsigned char if_true, unsigned char if_false) {
  filter[filter_length++] = (struct sock_filter){.code = code, .jt = if_true, .jf = if_false, .k = value};
}

static void load(unsigned offset) { add(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }

static void answer(unsigned action) { add(BPF_RET | BPF_K, action, 0, 0); }

static void answer_if(unsigned short comparison, unsigned value, unsigned action) {
  add(BPF_JMP | comparison | BPF_K, value, 0, 1);
  answer(action);
}

static void filter_calls(void) {
  /* The lower half of the first argument. */
  const unsigned argument = __builtin_offsetof(struct seccomp_data, args);
  load(__builtin_offsetof(struct seccomp_data, arch));
  add(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  answer(SECCOMP_RET_KILL_PROCESS);
  load(__builtin_offsetof(struct seccomp_data, nr));
  answer_if(BPF_JGE, FOREIGN, SECCOMP_RET_KILL_PROCESS);
  answer_if(BPF_JGT, NEWEST, SECCOMP_RET_ERRNO | ENOSYS);
  /* Its flags are in memory, where a filter cannot look; libraries use clone(2) then. */
  answer_if(BPF_JEQ, __NR_clone3, SECCOMP_RET_ERRNO | ENOSYS);
  for (unsigned at = 0; at < sizeof denied / sizeof *denied; at++)
    answer_if(BPF_JEQ, (unsigned)denied[at], SECCOMP_RET_ERRNO | EPERM);
  add(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4);
  load(argument);
  answer_if(BPF_JSET, NEW_NAMESPACE, SECCOMP_RET_ERRNO | EPERM);
  answer(SECCOMP_RET_ALLOW);
  /* Packet, netlink, kernel crypto, vsock, and whatever else a kernel has. */
  add(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 8);
  load(argument);
  answer_if(BPF_JEQ, FAMILY_UNIX, SECCOMP_RET_ALLOW);
  answer_if(BPF_JEQ, FAMILY_INET, SECCOMP_RET_ALLOW);
  answer_if(BPF_JEQ, FAMILY_INET6, SECCOMP_RET_ALLOW);
  answer(SECCOMP_RET_ERRNO | EAFNOSUPPORT);
  answer(SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = filter_length, .filter = filter};
  check(call5(__NR_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&program, 0, 0), "system calls cannot be denied", "");
}

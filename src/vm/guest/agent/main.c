/*
 * monocore-agent: process 1 of a guest, and the only program of ours in it.
 *
 * It boots until it can tell the daemon that it is ready, gets the job over the control port (src/vm/guest/agent/protocol.ts), makes
 * what the job needs, runs its command as process 1 of a pid namespace of its own, and reports its end. Beside it, it runs
 * what the daemon asks for in sessions. Before the job it knows nothing of a service, so a machine that waits here can be
 * copied for any service. Everything is one loop: only the making of the root takes longer than a system call.
 *
 *   main.c      boot, and the messages that are for the guest itself
 *   machine.c   kernel file systems, modules, ports, network, clock, power
 *   root.c      root of the job: disk, image, share, volumes, secrets
 *   job.c       the job, its output and its end
 *   launch.c    a process on its way to be a command
 *   sessions.c  probes, commands and connections
 *   control.c   the control port; frames.c and words.c are its language
 *   user.c, hosts.c, files.c, loop.c   what the others need
 */
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "control.h"
#include "files.h"
#include "job.h"
#include "loop.h"
#include "machine.h"
#include "sessions.h"

static int signals;

static void greet(const struct message *message) {
  /* Other generations may say more. */
  if (message->bytes < 2 + NONCE_BYTES) return;
  end_sessions();
  greet_daemon(message->body + 2);
  tell_state();
}

static void on_message(const struct message *message) {
  switch (message->type) {
    case HELLO: greet(message); break;
    case JOB: take_job(message); break;
    case SECRET: take_secret(message); break;
    case START: start_job(); break;
    case HOSTS: take_names(message); break;
    case SIGNAL: if (message->bytes == 1) signal_job(message->body[0]); break;
    case DRAIN: drain_job(message); break;
    case OFF: power_off(); break;
    case CLOCK: if (message->bytes == 12) set_clock(message->body); break;
    default: if (message->session != 0) take_session_message(message);
  }
}

static void on_signal(struct watch *watch) {
  (void)watch;
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {}
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (!reap_job(pid, status)) reap_session(pid, status);
  }
}

int main(void) {
  static struct watch signal_watch = {on_signal};
  static const char mistake[] = "monocore-agent: it is process 1 of a guest, and no other\n";
  sigset_t all;
  if (getpid() != 1) {
    write(2, mistake, sizeof mistake - 1);
    return 2;
  }
  mount_kernel_files();
  /* Protects the agent when memory is short; a command undoes it for itself. */
  write_text("/proc/self/oom_score_adj", "-1000");
  load_modules("boot");
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  signals = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
  begin_loop();
  watch_fd(signals, &signal_watch);
  open_job_ports();
  open_control(on_message, end_sessions);
  for (;;) {
    turn_loop(next_deadline_ms());
    pump_sessions();
    pump_control();
  }
}

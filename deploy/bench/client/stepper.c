/* Runs one thread of a process step by step, and writes the address of each instruction.
 *
 *   stepper THREAD FILE     until SIGTERM
 *
 * The addresses are 8 bytes each, in the machine's byte order. Prints a line once the thread is
 * being traced. The thread runs some 10,000 times slower meanwhile, and normally again afterwards.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

static volatile sig_atomic_t ended;

static void end(int number) {
  (void)number;
  ended = 1;
}

static void check(long status, const char *what) {
  if (status >= 0) return;
  perror(what);
  exit(1);
}

int main(int count, char **words) {
  if (count != 3) {
    fprintf(stderr, "stepper THREAD FILE\n");
    return 2;
  }
  pid_t thread = atoi(words[1]);
  FILE *file = fopen(words[2], "wb");
  if (!file) check(-1, words[2]);
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);

  int state;
  check(ptrace(PTRACE_SEIZE, thread, 0, 0), "the thread can't be traced");
  check(ptrace(PTRACE_INTERRUPT, thread, 0, 0), "the thread can't be stopped");
  check(waitpid(thread, &state, __WALL), "waitpid");
  puts("traced");
  fflush(stdout);
  while (!ended) {
    check(ptrace(PTRACE_SINGLESTEP, thread, 0, 0), "the thread can't be stepped");
    /* A thread that sleeps in a system call finishes its step only when it is interrupted. */
    while (waitpid(thread, &state, __WALL) < 0) {
      if (errno != EINTR) check(-1, "waitpid");
      if (ended) check(ptrace(PTRACE_INTERRUPT, thread, 0, 0), "the thread can't be stopped");
    }
    if (!WIFSTOPPED(state)) break;
    if (ended || WSTOPSIG(state) != SIGTRAP) continue;
    uint64_t address =
        ptrace(PTRACE_PEEKUSER, thread, offsetof(struct user_regs_struct, rip), 0);
    fwrite(&address, sizeof address, 1, file);
  }
  if (WIFSTOPPED(state)) check(ptrace(PTRACE_DETACH, thread, 0, 0), "the thread can't be released");
  return fclose(file) != 0;
}

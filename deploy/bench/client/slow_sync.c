/* A disk whose syncs take longer, for programs that are started with this library in LD_PRELOAD:
 * each fsync and fdatasync returns SLOW_SYNC_MICROS later.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int slowed(long call, int descriptor) {
  long status = syscall(call, descriptor);
  const char *micros = getenv("SLOW_SYNC_MICROS");
  long pause = micros ? atol(micros) : 0;
  struct timespec time = {pause / 1000000, pause % 1000000 * 1000};
  nanosleep(&time, NULL);
  return (int)status;
}

int fsync(int descriptor) { return slowed(SYS_fsync, descriptor); }

int fdatasync(int descriptor) { return slowed(SYS_fdatasync, descriptor); }

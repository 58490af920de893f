/* How long single calls take under another load: one Get after the other at fixed times,
 * whether earlier ones have their replies or not, so that a pause of the server is met by every
 * Get that falls into it.
 *
 *   probe ADDRESS CONNECTIONS CALLS_PER_SECOND SECONDS_MAX GET REPLY [GET REPLY]...
 *
 * GET and REPLY are files with the DATA bytes of a request and of its reply; the pairs take turns.
 * Every reply must have exactly these bytes and grpc-status 0. Ends after SECONDS_MAX or at
 * SIGTERM, and then prints a line "START LATENCY" for each call, in nanoseconds: when it was due,
 * by the monotonic clock, and how long after that its reply was here.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "http2.h"

enum { PAIRS_MAX = 64, WAITING_MAX = 1000 };

struct sample {
  uint64_t start, latency;
  size_t received;
  bool replied;
};

static struct bytes gets[PAIRS_MAX], replies[PAIRS_MAX];
static size_t pair_count, connection_count, sent, replied;
static struct sample *samples;
static volatile sig_atomic_t is_told_to_end;

static void told_to_end(int number) {
  (void)number;
  is_told_to_end = 1;
}

/* Call number n is made on connection n % CONNECTIONS, so a stream's id tells which call it is:
 * ids are odd and rise by two, and the first was used when the connection was opened. */
static size_t call_of(struct connection *connection, uint32_t stream) {
  return (size_t)(stream / 2 - 1) * connection_count + *(size_t *)connection->owner;
}

static void data(
    struct connection *connection, uint32_t stream, const uint8_t *bytes, size_t size) {
  size_t call = call_of(connection, stream);
  struct bytes *reply = &replies[call % pair_count];
  struct sample *sample = &samples[call];
  if (size > reply->used - sample->received ||
      memcmp(bytes, reply->at + sample->received, size))
    die("the reply to a Get has other bytes than it must have");
  sample->received += size;
}

static void ended(struct connection *connection, uint32_t stream, bool well) {
  size_t call = call_of(connection, stream);
  struct sample *sample = &samples[call];
  if (!well || sample->received != replies[call % pair_count].used) die("a Get failed");
  sample->latency = now_nanos() - sample->start;
  sample->replied = true;
  replied++;
}

static void send_call(struct connection **connections, uint64_t due) {
  struct connection *connection = connections[sent % connection_count];
  struct bytes *get = &gets[sent % pair_count];
  samples[sent++].start = due;
  uint32_t stream = connection_call(connection, "/ringstore.v1.KeyStore/Get");
  connection_send(connection, stream, get->at, get->used, true, true);
  if (connection_is_sending(connection)) die("the server gives no window for a Get");
  connection_flush(connection);
}

/* Waits for replies until `due`, or for the last ones. */
static void receive_until(struct connection **connections, struct pollfd *waits, uint64_t due) {
  uint64_t now = now_nanos();
  uint64_t left = due > now ? due - now : 0;
  struct timespec wait = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
  for (size_t i = 0; i < connection_count; i++)
    waits[i].events = connection_events(connections[i]);
  if (!left && sent - replied >= WAITING_MAX) wait.tv_nsec = 1000000;
  if (ppoll(waits, connection_count, &wait, NULL) < 1) return;
  for (size_t i = 0; i < connection_count; i++) {
    if (waits[i].revents & ~POLLOUT) connection_receive(connections[i]);
    connection_flush(connections[i]);
  }
}

int main(int count, char **arguments) {
  if (count < 7 || count % 2 == 0 || count > 5 + 2 * PAIRS_MAX)
    die("probe ADDRESS CONNECTIONS CALLS_PER_SECOND SECONDS_MAX GET REPLY...");
  for (int i = 5; i < count; i += 2) {
    gets[pair_count] = file_bytes(arguments[i]);
    replies[pair_count++] = file_bytes(arguments[i + 1]);
  }
  connection_count = (size_t)atoi(arguments[2]);
  uint64_t period = 1000000000u / (uint64_t)atoi(arguments[3]);
  size_t calls = (size_t)atoi(arguments[4]) * (size_t)atoi(arguments[3]);
  samples = calloc(calls, sizeof *samples);
  struct connection **connections = calloc(connection_count, sizeof *connections);
  struct pollfd *waits = calloc(connection_count, sizeof *waits);
  size_t *numbers = calloc(connection_count, sizeof *numbers);
  if (!samples || !connections || !waits || !numbers) die("no memory for the samples");
  for (size_t i = 0; i < connection_count; i++) {
    connections[i] = connection_open(arguments[1]);
    connections[i]->data = data;
    connections[i]->ended = ended;
    connections[i]->owner = &numbers[i];
    numbers[i] = i;
    waits[i].fd = connections[i]->fd;
  }
  signal(SIGTERM, told_to_end);
  /* Timers of a process are late by 50 us unless it asks for better. */
  prctl(PR_SET_TIMERSLACK, 1);
  uint64_t due = now_nanos() + period;
  while (sent < calls && !is_told_to_end) {
    receive_until(connections, waits, due);
    /* While the server stands still for long, calls wait here; their time runs all the same. */
    for (; sent < calls && sent - replied < WAITING_MAX && now_nanos() >= due; due += period)
      send_call(connections, due);
  }
  for (uint64_t end = now_nanos() + 60000000000u; replied < sent;) {
    if (now_nanos() > end) die("%zu Gets had no reply within a minute", sent - replied);
    receive_until(connections, waits, end);
  }
  for (size_t i = 0; i < sent; i++) printf("%lu %lu\n", samples[i].start, samples[i].latency);
}

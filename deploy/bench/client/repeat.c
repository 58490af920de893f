/* Makes calls one after the other and says when each began and ended and what came back.
 *
 *   repeat ADDRESS CALLS SECONDS_MAX PATH BODY [PATH BODY]...
 *
 * BODY is a file with the DATA bytes of a request; unary calls and those with streamed replies are
 * alike. The pairs take turns, until CALLS calls are made or SECONDS_MAX have passed (the call
 * under way is finished). Every call must end with grpc-status 0. For each it prints
 *
 *   START END PATH BYTES ITEMS
 *
 * START and END in nanoseconds of the monotonic clock, the bytes of DATA, and what is in field 1
 * of the reply messages: how many of them where it is a bytes field (keys, values), the number
 * itself where it is one (keys removed).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "http2.h"

enum { STALL_MILLIS = 60000, FIELD_1_NUMBER = 8, FIELD_1_BYTES = 10 };

struct reply {
  const char *path;
  struct bytes gathered;
  uint64_t bytes, items;
  bool ended;
};

static void take_messages(struct reply *reply) {
  size_t at = 0, size;
  const uint8_t *message;
  struct field field;
  while (next_message(&reply->gathered, &at, &message, &size))
    for (const uint8_t *end = message + size; next_field(&message, end, &field);) {
      if (field.tag == FIELD_1_BYTES) reply->items++;
      if (field.tag == FIELD_1_NUMBER) reply->items += field.number;
    }
  drop(&reply->gathered, at);
}

static void data(
    struct connection *connection, uint32_t stream, const uint8_t *bytes, size_t size) {
  (void)stream;
  struct reply *reply = connection->owner;
  reply->bytes += size;
  append(&reply->gathered, bytes, size);
  take_messages(reply);
}

static void ended(struct connection *connection, uint32_t stream, bool well) {
  (void)stream;
  struct reply *reply = connection->owner;
  if (!well || reply->gathered.used) die("%s failed after %lu bytes", reply->path, reply->bytes);
  reply->ended = true;
}

static void call(struct connection *connection, const char *path, const struct bytes *body) {
  struct reply reply = {.path = path};
  uint64_t begin = now_nanos();
  connection->owner = &reply;
  uint32_t stream = connection_call(connection, path);
  connection_send(connection, stream, body->at, body->used, true, true);
  while (!reply.ended) {
    connection_flush(connection);
    struct pollfd wait = {connection->fd, connection_events(connection), 0};
    if (poll(&wait, 1, STALL_MILLIS) < 1) die("%s: nothing came for a minute", path);
    if (wait.revents & ~POLLOUT) connection_receive(connection);
  }
  printf("%lu %lu %s %lu %lu\n", begin, now_nanos(), path, reply.bytes, reply.items);
  free(reply.gathered.at);
}

int main(int count, char **arguments) {
  if (count < 6 || count % 2 == 1) die("repeat ADDRESS CALLS SECONDS_MAX PATH BODY...");
  int pairs = (count - 4) / 2;
  struct bytes *bodies = calloc((size_t)pairs, sizeof *bodies);
  if (!bodies) die("no memory for the bodies");
  for (int i = 0; i < pairs; i++) bodies[i] = file_bytes(arguments[5 + 2 * i]);
  struct connection *connection = connection_open(arguments[1]);
  connection->data = data;
  connection->ended = ended;
  uint64_t end = now_nanos() + (uint64_t)atoi(arguments[3]) * 1000000000u;
  for (int made = 0; made < atoi(arguments[2]) && now_nanos() < end; made++)
    call(connection, arguments[4 + 2 * (made % pairs)], &bodies[made % pairs]);
}

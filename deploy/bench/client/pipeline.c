/* Plays batches of calls over Pipeline streams, one stream a connection, and checks every reply.
 *
 *   pipeline ADDRESS CONNECTIONS DEPTH PASSES BODIES [PREFIX]
 *
 * BODIES holds gRPC-framed CallBatch messages. Connection c plays the messages c, c + CONNECTIONS,
 * ... in this order, PASSES times, with the calls of at most DEPTH messages waiting for replies:
 * with 1 it waits for the replies to a message before it sends the next, as redis-benchmark -P
 * does. A reply is right if its code is 0 and its response begins with the bytes of the file
 * PREFIX; besides, the ids of all replies must add up to those of the calls.
 *
 * Prints "CALLS calls, BYTES bytes of responses, SECONDS s".
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http2.h"

enum { STALL_MILLIS = 60000, REPLIES = 10, ID = 8, CODE = 16, TEXT = 26, RESPONSE = 34 };

struct batch {
  const uint8_t *at;
  size_t size;
  uint64_t calls, ids;
};

struct player {
  struct connection *connection;
  uint32_t stream;
  size_t next, passes_left;
  uint64_t waiting, ids_due;
  struct bytes replies;
  bool begun, ended;
};

static struct batch *batches;
static size_t batch_count, connection_count, calls_max;
static struct bytes prefix;
static uint64_t replies_seen, response_bytes;

static void load_batches(struct bytes *file) {
  size_t at = 0, size, room = 0;
  const uint8_t *message;
  while (next_message(file, &at, &message, &size)) {
    if (batch_count == room) {
      room = room ? 2 * room : 1024;
      batches = realloc(batches, room * sizeof *batches);
      if (!batches) die("no memory for %zu batches", room);
    }
    struct batch *batch = &batches[batch_count++];
    *batch = (struct batch){message - 5, size + 5, 0, 0};
    struct field call, part;
    for (const uint8_t *end = message + size; next_field(&message, end, &call);) {
      const uint8_t *inside = call.bytes;
      batch->calls++;
      while (next_field(&inside, call.bytes + call.size, &part))
        if (part.tag == ID) batch->ids += part.number;
    }
    if (batch->calls > calls_max) calls_max = batch->calls;
  }
  if (at != file->used || batch_count < connection_count)
    die("the bodies are not whole batches, at least one for each connection");
}

static void take_reply(struct player *player, const struct field *reply) {
  struct field part;
  uint64_t id = 0, code = 0;
  const uint8_t *text = NULL, *response = NULL, *at = reply->bytes;
  size_t text_size = 0, response_size = 0;
  while (next_field(&at, reply->bytes + reply->size, &part)) {
    if (part.tag == ID) id = part.number;
    if (part.tag == CODE) code = part.number;
    if (part.tag == TEXT) text = part.bytes, text_size = part.size;
    if (part.tag == RESPONSE) response = part.bytes, response_size = part.size;
  }
  if (code) die("call %lu failed with code %lu: %.*s", id, code, (int)text_size, text);
  if (response_size < prefix.used || (prefix.used && memcmp(response, prefix.at, prefix.used)))
    die("call %lu has another response than it must have", id);
  if (!player->waiting) die("reply %lu belongs to no call", id);
  player->waiting--;
  player->ids_due -= id;
  replies_seen++;
  response_bytes += response_size;
}

static void data(
    struct connection *connection, uint32_t stream, const uint8_t *bytes, size_t count) {
  (void)stream;
  struct player *player = connection->owner;
  size_t at = 0, size;
  const uint8_t *message;
  struct field reply;
  append(&player->replies, bytes, count);
  while (next_message(&player->replies, &at, &message, &size))
    for (const uint8_t *end = message + size; next_field(&message, end, &reply);)
      if (reply.tag == REPLIES) take_reply(player, &reply);
  drop(&player->replies, at);
}

static void ended(struct connection *connection, uint32_t stream, bool well) {
  (void)stream;
  struct player *player = connection->owner;
  if (player->passes_left || !well) die("the server ended a Pipeline that was under way");
  if (player->waiting || player->ids_due || player->replies.used)
    die("a Pipeline was ended with %lu calls without a reply", player->waiting);
  player->ended = true;
}

/* Sends what DEPTH allows, and the end of the stream when all have their replies. */
static void play(struct player *player, uint64_t depth) {
  struct connection *connection = player->connection;
  while (player->passes_left && !connection_is_sending(connection)) {
    struct batch *batch = &batches[player->next];
    if (player->waiting && player->waiting + batch->calls > depth * calls_max) break;
    player->waiting += batch->calls;
    player->ids_due += batch->ids;
    player->next += connection_count;
    if (player->next >= batch_count) {
      player->next %= connection_count;
      player->passes_left--;
    }
    connection_send(
        connection, player->stream, batch->at, batch->size, !player->begun,
        !player->passes_left);
    player->begun = true;
  }
  connection_flush(connection);
}

int main(int count, char **arguments) {
  if (count < 6) die("pipeline ADDRESS CONNECTIONS DEPTH PASSES BODIES [PREFIX]");
  connection_count = (size_t)atoi(arguments[2]);
  uint64_t depth = (uint64_t)atoi(arguments[3]);
  struct bytes file = file_bytes(arguments[5]);
  load_batches(&file);
  if (count > 6) prefix = file_bytes(arguments[6]);
  struct player *players = calloc(connection_count, sizeof *players);
  struct pollfd *waits = calloc(connection_count, sizeof *waits);
  if (!players || !waits || !depth || atoi(arguments[4]) < 1) die("nothing to play");
  for (size_t i = 0; i < connection_count; i++) {
    struct connection *connection = connection_open(arguments[1]);
    players[i] = (struct player){
        .connection = connection,
        .stream = connection_call(connection, "/ringstore.v1.KeyStore/Pipeline"),
        .next = i,
        .passes_left = (size_t)atoi(arguments[4])};
    connection->owner = &players[i];
    connection->data = data;
    connection->ended = ended;
  }
  uint64_t begin = now_nanos();
  while (true) {
    size_t left = 0;
    nfds_t open = 0;
    for (size_t i = 0; i < connection_count; i++) {
      play(&players[i], depth);
      left += !players[i].ended;
      waits[open].fd = players[i].ended ? -1 : players[i].connection->fd;
      waits[open++].events = connection_events(players[i].connection);
    }
    if (!left) break;
    if (poll(waits, open, STALL_MILLIS) < 1) die("no reply came for a minute");
    for (size_t i = 0; i < connection_count; i++)
      if (waits[i].revents & ~POLLOUT) connection_receive(players[i].connection);
  }
  printf(
      "%lu calls, %lu bytes of responses, %.3f s\n", replies_seen, response_bytes,
      (double)(now_nanos() - begin) / 1e9);
}

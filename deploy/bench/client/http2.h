/* A small HTTP/2 client for the benchmarks: one thread, raw sockets, no library.
 *
 * h2load can neither hold a conversation on one stream (send a batch, wait for its replies, send
 * the next) nor tell how long each single call took; and Python's own jitter is larger than what
 * is measured. This knows just enough of HTTP/2 to call a gRPC server: it asks for a header table
 * of size 0, so that equal header blocks have equal bytes, and learns what the trailers of a call
 * that went well look like from a call whose reply it knows.
 *
 * Whatever is not as it must be ends the program with one sentence and status 1.
 */
#ifndef RINGSTORE_BENCH_HTTP2_H
#define RINGSTORE_BENCH_HTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow: a queue if `taken` is used. */
struct bytes {
  uint8_t *at;
  size_t used, size;
};

struct connection {
  int fd;
  struct bytes in, out;
  size_t out_sent;
  /* What we may still send, on the connection and at first on a stream. */
  int64_t window, first_stream_window;
  uint32_t next_stream;
  /* The one body that is being sent. */
  uint32_t upload_stream;
  const uint8_t *upload;
  size_t upload_left;
  bool upload_ends;
  int64_t upload_window;
  /* Received and not credited yet, on the connection and on the stream that received last. */
  uint32_t credit, stream_credit, credit_stream;
  /* Trailers with grpc-status 0. */
  struct bytes ok_trailers, last_block;
  bool settled;

  /* What the program wants to know. `ended`: well says whether grpc-status was 0. */
  void (*data)(struct connection *, uint32_t stream, const uint8_t *, size_t);
  void (*ended)(struct connection *, uint32_t stream, bool well);
  void *owner;
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_nanos(void);
void append(struct bytes *, const void *, size_t);
/* A whole file. */
struct bytes file_bytes(const char *path);

/* Connects to HOST:PORT (an address, no name) and makes one call, whose reply it knows. */
struct connection *connection_open(const char *address);
/* Begins a call on a new stream; its body comes with connection_send. */
uint32_t connection_call(struct connection *, const char *path);
/* Sends bytes of a body as the windows allow. They must stay where they are until it is done, and
 * there may be one such at a time. `ends`: the stream ends with them. The first bytes on a stream
 * must be given with `first`. */
void connection_send(
    struct connection *, uint32_t stream, const uint8_t *, size_t, bool first, bool ends);
bool connection_is_sending(const struct connection *);
/* Writes what the socket takes. */
void connection_flush(struct connection *);
/* Reads what is there and reports it. */
void connection_receive(struct connection *);
/* What poll has to wait for. */
short connection_events(const struct connection *);

/* One field of a protobuf message. `number` is a varint's value, `bytes` a bytes field's. */
struct field {
  uint32_t tag;
  uint64_t number;
  const uint8_t *bytes;
  size_t size;
};
/* The next field of a message, or false at its end; varints and bytes only. */
bool next_field(const uint8_t **at, const uint8_t *end, struct field *);

/* The next whole gRPC message of gathered bytes from `*at` on, or false. */
bool next_message(const struct bytes *, size_t *at, const uint8_t **message, size_t *size);
/* Drops the first `count` bytes. */
void drop(struct bytes *, size_t count);

#endif

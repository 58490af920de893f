/* See http2.h. */
#define _GNU_SOURCE
#include "http2.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITISED = 32 };
enum {
  DEFAULT_WINDOW = 65535,
  OUR_WINDOW = 0x7fffffff,
  CREDIT_STEP = 1 << 24,
  FRAME_MAX = 16384,
  READ_BYTES = 1 << 18,
  STALL_MILLIS = 60000
};

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

uint64_t now_nanos(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void reserve(struct bytes *bytes, size_t more) {
  if (bytes->size - bytes->used >= more) return;
  bytes->size = bytes->used + more > 2 * bytes->size ? bytes->used + more : 2 * bytes->size;
  bytes->at = realloc(bytes->at, bytes->size);
  if (!bytes->at) die("no memory for %zu bytes", bytes->size);
}

void append(struct bytes *bytes, const void *from, size_t count) {
  reserve(bytes, count);
  if (count) memcpy(bytes->at + bytes->used, from, count);
  bytes->used += count;
}

void drop(struct bytes *bytes, size_t count) {
  if (!count) return;
  bytes->used -= count;
  if (bytes->used) memmove(bytes->at, bytes->at + count, bytes->used);
}

struct bytes file_bytes(const char *path) {
  struct bytes result = {0};
  FILE *file = fopen(path, "rb");
  if (!file) die("%s can't be opened", path);
  size_t count;
  do {
    reserve(&result, 1 << 20);
    count = fread(result.at + result.used, 1, result.size - result.used, file);
    result.used += count;
  } while (count);
  fclose(file);
  return result;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void put_u32(uint8_t *at, uint32_t value) {
  value = htonl(value);
  memcpy(at, &value, 4);
}

static uint32_t get_u32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return ntohl(value);
}

static void put_frame(
    struct connection *connection, uint8_t kind, uint8_t flags, uint32_t stream,
    const void *payload, size_t size) {
  uint8_t head[9];
  put_u32(head, (uint32_t)size << 8);
  head[3] = kind;
  head[4] = flags;
  put_u32(head + 5, stream);
  append(&connection->out, head, sizeof head);
  append(&connection->out, payload, size);
}

static void put_credit(struct connection *connection, uint32_t stream, uint32_t count) {
  uint8_t payload[4];
  put_u32(payload, count);
  put_frame(connection, WINDOW_UPDATE, 0, stream, payload, sizeof payload);
}

/* One header that is never indexed nor Huffman-coded. */
static void put_header(struct bytes *block, const char *name, const char *value) {
  uint8_t sizes[2] = {(uint8_t)strlen(name), (uint8_t)strlen(value)};
  if (sizes[0] > 126 || strlen(value) > 126) die("the header %s is too long", name);
  append(block, "\x10", 1);
  append(block, &sizes[0], 1);
  append(block, name, sizes[0]);
  append(block, &sizes[1], 1);
  append(block, value, sizes[1]);
}

uint32_t connection_call(struct connection *connection, const char *path) {
  struct bytes block = {0};
  uint32_t stream = connection->next_stream;
  connection->next_stream += 2;
  put_header(&block, ":method", "POST");
  put_header(&block, ":scheme", "http");
  put_header(&block, ":path", path);
  put_header(&block, ":authority", "localhost");
  put_header(&block, "te", "trailers");
  put_header(&block, "content-type", "application/grpc");
  put_frame(connection, HEADERS, END_HEADERS, stream, block.at, block.used);
  free(block.at);
  return stream;
}

static void send_more(struct connection *connection) {
  while (connection->upload_stream) {
    size_t part = connection->upload_left < FRAME_MAX ? connection->upload_left : FRAME_MAX;
    if ((int64_t)part > connection->window) part = (size_t)connection->window;
    if ((int64_t)part > connection->upload_window) part = (size_t)connection->upload_window;
    if (!part && connection->upload_left) return;
    bool last = part == connection->upload_left;
    put_frame(
        connection, DATA, last && connection->upload_ends ? END_STREAM : 0,
        connection->upload_stream, connection->upload, part);
    connection->upload += part;
    connection->upload_left -= part;
    connection->window -= (int64_t)part;
    connection->upload_window -= (int64_t)part;
    if (last) {
      connection->upload = NULL;
      if (connection->upload_ends) connection->upload_window = 0;
      connection->upload_stream = 0;
    }
  }
}

/* The window of a stream is kept between its bodies, in upload_window, for a program that uses one
 * stream at a time; one that uses many gives each its whole body at once. */
void connection_send(
    struct connection *connection, uint32_t stream, const uint8_t *bytes, size_t size, bool first,
    bool ends) {
  if (connection->upload_stream) die("two bodies at a time on one connection");
  connection->upload_stream = stream;
  connection->upload = bytes;
  connection->upload_left = size;
  connection->upload_ends = ends;
  if (first) connection->upload_window = connection->first_stream_window;
  send_more(connection);
}

bool connection_is_sending(const struct connection *connection) {
  return connection->upload_stream != 0;
}

void connection_flush(struct connection *connection) {
  struct bytes *out = &connection->out;
  while (connection->out_sent < out->used) {
    ssize_t sent = send(
        connection->fd, out->at + connection->out_sent, out->used - connection->out_sent,
        MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) die("the server closed the connection: %s", strerror(errno));
    connection->out_sent += (size_t)sent;
  }
  out->used = connection->out_sent = 0;
}

short connection_events(const struct connection *connection) {
  return connection->out_sent < connection->out.used ? POLLIN | POLLOUT : POLLIN;
}

/* --- receiving -------------------------------------------------------------------------------- */

static void take_settings(struct connection *connection, const uint8_t *payload, size_t size) {
  for (size_t at = 0; at + 6 <= size; at += 6) {
    uint32_t name = get_u32(payload + at) >> 16, value = get_u32(payload + at + 2);
    if (name == 4) connection->first_stream_window = value;
  }
  put_frame(connection, SETTINGS, ACK, 0, NULL, 0);
  connection->settled = true;
}

static bool is_ok(const struct connection *connection) {
  const struct bytes *last = &connection->last_block, *ok = &connection->ok_trailers;
  return last->used && last->used == ok->used && !memcmp(last->at, ok->at, ok->used);
}

static void take_data(
    struct connection *connection, uint32_t stream, const uint8_t *payload, size_t size) {
  if (connection->data && size) connection->data(connection, stream, payload, size);
  if (connection->credit_stream != stream) connection->stream_credit = 0;
  connection->credit_stream = stream;
  connection->credit += (uint32_t)size;
  connection->stream_credit += (uint32_t)size;
  if (connection->credit > CREDIT_STEP) {
    put_credit(connection, 0, connection->credit);
    connection->credit = 0;
  }
  if (connection->stream_credit > CREDIT_STEP) {
    put_credit(connection, stream, connection->stream_credit);
    connection->stream_credit = 0;
  }
}

static void take_frame(
    struct connection *connection, uint8_t kind, uint8_t flags, uint32_t stream,
    const uint8_t *payload, size_t size) {
  switch (kind) {
  case DATA:
    if (flags & PADDED) die("a padded DATA frame came");
    take_data(connection, stream, payload, size);
    break;
  case HEADERS:
    if (flags & (PADDED | PRIORITISED) || !(flags & END_HEADERS))
      die("a header block of another form than expected came");
    connection->last_block.used = 0;
    append(&connection->last_block, payload, size);
    break;
  case RST_STREAM: die("the server reset a stream, code %u", get_u32(payload));
  case GOAWAY: die("the server is leaving, code %u", get_u32(payload + 4));
  case SETTINGS:
    if (!(flags & ACK)) take_settings(connection, payload, size);
    return;
  case PING:
    if (!(flags & ACK)) put_frame(connection, PING, ACK, 0, payload, size);
    return;
  case WINDOW_UPDATE:
    if (!stream) connection->window += get_u32(payload);
    else if (stream == connection->upload_stream || !connection->upload_stream)
      connection->upload_window += get_u32(payload);
    send_more(connection);
    return;
  default: return;
  }
  if (flags & END_STREAM && connection->ended)
    connection->ended(connection, stream, kind == HEADERS && is_ok(connection));
}

void connection_receive(struct connection *connection) {
  struct bytes *in = &connection->in;
  reserve(in, READ_BYTES);
  ssize_t count = recv(connection->fd, in->at + in->used, READ_BYTES, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) die("the server closed the connection");
  in->used += (size_t)count;
  size_t at = 0;
  while (in->used - at >= 9) {
    const uint8_t *head = in->at + at;
    size_t size = get_u32(head) >> 8;
    if (in->used - at - 9 < size) break;
    take_frame(connection, head[3], head[4], get_u32(head + 5), head + 9, size);
    at += 9 + size;
  }
  drop(in, at);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int connect_to(const char *address) {
  char host[64];
  const char *colon = strrchr(address, ':');
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (!colon || (size_t)(colon - address) >= sizeof host) die("%s is not HOST:PORT", address);
  memcpy(host, address, (size_t)(colon - address));
  host[colon - address] = 0;
  to.sin_port = htons((uint16_t)atoi(colon + 1));
  if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("%s is not an IPv4 address", host);
  int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
    die("no connection to %s: %s", address, strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

/* The call with the known reply: Exists of a key that is never set is Status{ok: true}. */
static const uint8_t exists[] = {0, 0, 0, 0, 9, 10, 7, 'n', 'o', '-', 's', 'u', 'c', 'h'};
static const uint8_t status[] = {0, 0, 0, 0, 2, 8, 1};

static void known_data(
    struct connection *connection, uint32_t stream, const uint8_t *bytes, size_t size) {
  (void)stream;
  append(connection->owner, bytes, size);
}

static void known_ended(struct connection *connection, uint32_t stream, bool well) {
  (void)stream, (void)well;
  const struct bytes *data = connection->owner, *last = &connection->last_block;
  if (data->used != sizeof status || memcmp(data->at, status, sizeof status))
    die("the server does not reply to Exists as a Ringstore node does");
  append(&connection->ok_trailers, last->at, last->used);
}

struct connection *connection_open(const char *address) {
  struct connection *connection = calloc(1, sizeof *connection);
  if (!connection) die("no memory for a connection");
  struct bytes data = {0};
  uint8_t settings[12] = {0, 1, 0, 0, 0, 0, 0, 4};
  put_u32(settings + 8, OUR_WINDOW);
  connection->fd = connect_to(address);
  connection->window = connection->first_stream_window = DEFAULT_WINDOW;
  connection->next_stream = 1;
  append(&connection->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  put_frame(connection, SETTINGS, 0, 0, settings, sizeof settings);
  put_credit(connection, 0, OUR_WINDOW - DEFAULT_WINDOW);
  connection->data = known_data;
  connection->ended = known_ended;
  connection->owner = &data;
  connection_send(
      connection, connection_call(connection, "/ringstore.v1.KeyStore/Exists"), exists,
      sizeof exists, true, true);
  while (!connection->settled || !connection->ok_trailers.used) {
    connection_flush(connection);
    struct pollfd wait = {connection->fd, connection_events(connection), 0};
    if (poll(&wait, 1, STALL_MILLIS) < 1) die("%s does not reply", address);
    connection_receive(connection);
  }
  connection->data = NULL;
  connection->ended = NULL;
  connection->owner = NULL;
  free(data.at);
  return connection;
}

/* --- messages --------------------------------------------------------------------------------- */

static uint64_t varint(const uint8_t **at, const uint8_t *end) {
  uint64_t value = 0;
  for (int shift = 0; *at < end && shift < 70; shift += 7) {
    uint8_t byte = *(*at)++;
    value |= (uint64_t)(byte & 0x7f) << (shift & 63);
    if (byte < 0x80) return value;
  }
  die("a message is malformed: a varint does not end");
}

bool next_field(const uint8_t **at, const uint8_t *end, struct field *field) {
  if (*at == end) return false;
  field->tag = (uint32_t)varint(at, end);
  field->number = varint(at, end);
  field->bytes = *at;
  field->size = 0;
  if ((field->tag & 7) == 0) return true;
  if ((field->tag & 7) != 2) die("a message has a field of wire type %u", field->tag & 7);
  if (field->number > (uint64_t)(end - *at)) die("a message is malformed: a field is cut off");
  field->size = (size_t)field->number;
  *at += field->size;
  return true;
}

bool next_message(
    const struct bytes *bytes, size_t *at, const uint8_t **message, size_t *size) {
  if (bytes->used - *at < 5) return false;
  *size = get_u32(bytes->at + *at + 1);
  if (bytes->used - *at - 5 < *size) return false;
  *message = bytes->at + *at + 5;
  *at += 5 + *size;
  return true;
}

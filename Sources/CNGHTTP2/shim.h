// What HTTP2 needs of libnghttp2, under names of our own.
//
// nghttp2 1.60 renamed every function that returned ssize_t (mem_recv2, submit_response2, ...).
// Debian 12 has 1.52, which lacks the new names; newer distributions warn about the old ones. The
// inline functions below hide that, and read the frame unions that Swift would copy whole.

#ifndef CNGHTTP2_SHIM_H
#define CNGHTTP2_SHIM_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CNGHTTP2_HAS_NEW_NAMES (NGHTTP2_VERSION_NUM >= 0x013c00)

#if CNGHTTP2_HAS_NEW_NAMES
typedef nghttp2_ssize CNGHTTP2_size;
#else
typedef ssize_t CNGHTTP2_size;
#endif

typedef CNGHTTP2_size (*CNGHTTP2_read_callback)(
    nghttp2_session *session, int32_t stream_id, uint8_t *buffer, size_t length,
    uint32_t *data_flags, nghttp2_data_source *source, void *user_data);

static inline ptrdiff_t CNGHTTP2_mem_recv(
    nghttp2_session *session, const void *bytes, size_t length) {
#if CNGHTTP2_HAS_NEW_NAMES
  return nghttp2_session_mem_recv2(session, (const uint8_t *)bytes, length);
#else
  return nghttp2_session_mem_recv(session, (const uint8_t *)bytes, length);
#endif
}

static inline ptrdiff_t CNGHTTP2_mem_send(nghttp2_session *session, const uint8_t **bytes) {
#if CNGHTTP2_HAS_NEW_NAMES
  return nghttp2_session_mem_send2(session, bytes);
#else
  return nghttp2_session_mem_send(session, bytes);
#endif
}

// A response; with read == NULL it has no body and its HEADERS bear END_STREAM.
static inline int CNGHTTP2_submit_response(
    nghttp2_session *session, int32_t stream_id, const nghttp2_nv *fields, size_t count,
    CNGHTTP2_read_callback read, void *source) {
#if CNGHTTP2_HAS_NEW_NAMES
  nghttp2_data_provider2 provider;
  provider.source.ptr = source;
  provider.read_callback = read;
  return nghttp2_submit_response2(
      session, stream_id, fields, count, read == NULL ? NULL : &provider);
#else
  nghttp2_data_provider provider;
  provider.source.ptr = source;
  provider.read_callback = read;
  return nghttp2_submit_response(
      session, stream_id, fields, count, read == NULL ? NULL : &provider);
#endif
}

// A request; returns the stream id or a negative error.
static inline int32_t CNGHTTP2_submit_request(
    nghttp2_session *session, const nghttp2_nv *fields, size_t count, CNGHTTP2_read_callback read,
    void *source) {
#if CNGHTTP2_HAS_NEW_NAMES
  nghttp2_data_provider2 provider;
  provider.source.ptr = source;
  provider.read_callback = read;
  return nghttp2_submit_request2(
      session, NULL, fields, count, read == NULL ? NULL : &provider, source);
#else
  nghttp2_data_provider provider;
  provider.source.ptr = source;
  provider.read_callback = read;
  return nghttp2_submit_request(
      session, NULL, fields, count, read == NULL ? NULL : &provider, source);
#endif
}

static inline void *CNGHTTP2_source_pointer(const nghttp2_data_source *source) {
  return source->ptr;
}

static inline uint8_t CNGHTTP2_frame_type(const nghttp2_frame *frame) { return frame->hd.type; }
static inline uint8_t CNGHTTP2_frame_flags(const nghttp2_frame *frame) { return frame->hd.flags; }
static inline int32_t CNGHTTP2_frame_stream(const nghttp2_frame *frame) {
  return frame->hd.stream_id;
}
static inline size_t CNGHTTP2_frame_length(const nghttp2_frame *frame) { return frame->hd.length; }
static inline uint32_t CNGHTTP2_frame_reset_code(const nghttp2_frame *frame) {
  return frame->rst_stream.error_code;
}
static inline const uint8_t *CNGHTTP2_frame_ping_payload(const nghttp2_frame *frame) {
  return frame->ping.opaque_data;
}
static inline const nghttp2_goaway *CNGHTTP2_frame_goaway(const nghttp2_frame *frame) {
  return &frame->goaway;
}

// RFC 9218 priority of a response: the default urgency, and incremental, so that DATA of several
// responses takes turns. The client's own signal is not obeyed.
static inline int CNGHTTP2_make_incremental(nghttp2_session *session, int32_t stream_id) {
  nghttp2_extpri priority;
  priority.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY;
  priority.inc = 1;
  return nghttp2_session_change_extpri_stream_priority(session, stream_id, &priority, 1);
}

#endif

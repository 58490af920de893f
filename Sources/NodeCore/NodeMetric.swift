// The metrics that nodes have, by name: docs/METRICS.md explains each, and a test compares the two.
// Names stay as they are, because alerts and boards of users have them. Values; any thread.

import MetricTypes

package enum NodeMetric {
  // MARK: The node
  package static let info = MetricDefinition(.gauge, "ringstore_node_info", "The node.")
  package static let ready = MetricDefinition(
    .gauge, "ringstore_node_ready", "1 while the node serves calls on keys.")
  package static let state = MetricDefinition(
    .gauge, "ringstore_node_state", "1 for the node's current state.")
  package static let mapEpoch = MetricDefinition(
    .gauge, "ringstore_map_epoch", "Epoch of the node's slot map.")
  package static let mapShards = MetricDefinition(
    .gauge, "ringstore_map_shards", "Shards of the slot map.")
  package static let slotsOwned = MetricDefinition(
    .gauge, "ringstore_slots_owned", "Slots that the shard serves.")

  // MARK: Calls
  package static let calls = MetricDefinition(
    .counter, "ringstore_calls_total",
    "Calls: those of a router's clients, and those that a shard executed.")
  package static let callDuration = MetricDefinition(
    .histogram, "ringstore_call_duration_seconds", "Duration of calls at this node.")
  package static let callErrors = MetricDefinition(
    .counter, "ringstore_call_errors_total", "Calls that failed.")
  package static let callsInFlight = MetricDefinition(
    .gauge, "ringstore_calls_in_flight", "Calls sent or waiting to be sent, without a reply yet.")
  package static let parkedCalls = MetricDefinition(
    .gauge, "ringstore_parked_calls", "Calls that wait for values.")
  package static let callParks = MetricDefinition(
    .counter, "ringstore_call_parks_total", "Calls that began to wait for values.")
  package static let slices = MetricDefinition(
    .counter, "ringstore_slices_total", "Slices of calls on every shard.")
  package static let slowCalls = MetricDefinition(
    .counter, "ringstore_slow_calls_total", "Calls that took slowlog_millis or longer.")
  package static let largeCalls = MetricDefinition(
    .counter, "ringstore_large_calls_total", "Calls of slowlog_bytes or more.")

  // MARK: Connections
  package static let connections = MetricDefinition(
    .gauge, "ringstore_connections", "Open connections.")
  package static let connectionsMax = MetricDefinition(
    .gauge, "ringstore_connections_max", "Connections that clients may have.")
  package static let connectionsAccepted = MetricDefinition(
    .counter, "ringstore_connections_accepted_total", "Accepted connections.")
  package static let connectionsEnded = MetricDefinition(
    .counter, "ringstore_connections_ended_total", "Connections that the node refused or cut.")
  package static let handshakes = MetricDefinition(
    .counter, "ringstore_tls_handshakes_total", "TLS handshakes.")
  package static let certificateEnd = MetricDefinition(
    .gauge, "ringstore_tls_certificate_not_after_timestamp_seconds",
    "When the certificate in use expires, in seconds since 1970.")
  package static let tlsReloads = MetricDefinition(
    .counter, "ringstore_tls_reloads_total", "Times files of certificates were read again.")
  package static let streams = MetricDefinition(
    .gauge, "ringstore_streams", "Open gRPC calls and streams.")
  package static let networkBytes = MetricDefinition(
    .counter, "ringstore_network_bytes_total",
    "Bytes of accepted connections, before encryption.")
  package static let callResets = MetricDefinition(
    .counter, "ringstore_call_resets_total", "Calls that clients reset.")
  package static let transportRefusals = MetricDefinition(
    .counter, "ringstore_transport_refusals_total", "Calls that the transport refused.")

  // MARK: Users
  package static let accessRefused = MetricDefinition(
    .counter, "ringstore_access_refused_total", "Refused calls.")
  package static let usersReloads = MetricDefinition(
    .counter, "ringstore_users_reloads_total", "How often the users file was read again.")

  // MARK: Event loops
  package static let loopTicks = MetricDefinition(
    .counter, "ringstore_loop_ticks_total", "Reads, ends of ticks and turns of the event loop.")
  package static let loopTurns = MetricDefinition(
    .counter, "ringstore_loop_turns_total", "Parts of long work that were done in turns.")
  package static let loopLateTurns = MetricDefinition(
    .counter, "ringstore_loop_late_turns_total", "Turns that began late and were postponed once.")
  package static let loopTickDuration = MetricDefinition(
    .histogram, "ringstore_loop_tick_duration_seconds",
    "From the read of a tick to the end of its replies.")
  package static let loopDelay = MetricDefinition(
    .gauge, "ringstore_loop_delay_seconds", "How long this scrape was queued on the event loop.")

  // MARK: Links
  package static let linkUp = MetricDefinition(
    .gauge, "ringstore_link_up", "1 if the links of all event loops to the shard are ready.")
  package static let links = MetricDefinition(.gauge, "ringstore_links", "Links by state.")
  package static let linkRefused = MetricDefinition(
    .gauge, "ringstore_link_refused", "1 while the shard refuses the router for the reason.")
  package static let linkCallsInFlight = MetricDefinition(
    .gauge, "ringstore_link_calls_in_flight", "Calls that were sent and have no reply yet.")
  package static let linkCallsWaiting = MetricDefinition(
    .gauge, "ringstore_link_calls_waiting", "Calls that wait for space on the link.")
  package static let linkWait = MetricDefinition(
    .histogram, "ringstore_link_wait_seconds", "How long calls waited before they were sent.")
  package static let linkBytes = MetricDefinition(
    .counter, "ringstore_link_bytes_total", "Bytes of frames to and from shards.")
  package static let linkReconnects = MetricDefinition(
    .counter, "ringstore_link_reconnects_total", "Links that were lost and came back.")
  package static let shardRestarts = MetricDefinition(
    .counter, "ringstore_shard_restarts_total", "Shards that came back as a new process.")

  // MARK: Keys and memory
  package static let keys = MetricDefinition(.gauge, "ringstore_keys", "Keys of all databases.")
  package static let keysExpiring = MetricDefinition(
    .gauge, "ringstore_keys_expiring", "Keys with an expiry.")
  package static let keysExpired = MetricDefinition(
    .counter, "ringstore_keys_expired_total", "Keys that were deleted because they expired.")
  package static let keysEvicted = MetricDefinition(
    .counter, "ringstore_keys_evicted_total", "Keys that were evicted because of max_memory.")
  package static let memory = MetricDefinition(
    .gauge, "ringstore_memory_bytes", "Memory that the node accounts for, by kind.")
  package static let memoryLimit = MetricDefinition(
    .gauge, "ringstore_memory_limit_bytes", "Limits of memory, by kind.")
  package static let memoryRefusals = MetricDefinition(
    .counter, "ringstore_memory_refusals_total", "Writes that were refused with MEMORY_LIMIT.")
  package static let pinned = MetricDefinition(
    .gauge, "ringstore_store_pinned_bytes", "Memory that is kept only for readers.")
  package static let views = MetricDefinition(
    .gauge, "ringstore_views", "Large values and lists that are kept for readers.")
  package static let viewsExpired = MetricDefinition(
    .counter, "ringstore_views_expired_total", "Readers that were ended with VIEW_EXPIRED.")

  // MARK: Log
  package static let logAppended = MetricDefinition(
    .counter, "ringstore_log_appended_bytes_total", "Bytes of changes added to the log.")
  package static let logBatches = MetricDefinition(
    .counter, "ringstore_log_batches_total", "Batches of changes.")
  package static let logWrite = MetricDefinition(
    .histogram, "ringstore_log_write_duration_seconds",
    "How long the loop took to write the changes of a tick.")
  package static let logSync = MetricDefinition(
    .histogram, "ringstore_log_sync_duration_seconds", "How long syncs of the log took.")
  package static let logUnsynced = MetricDefinition(
    .gauge, "ringstore_log_unsynced_seconds", "Age of the oldest change that is not synced.")
  package static let logSegments = MetricDefinition(
    .gauge, "ringstore_log_segments", "Segment files of the log.")
  package static let diskFree = MetricDefinition(
    .gauge, "ringstore_log_disk_free_bytes", "Free bytes of the data directory's file system.")
  package static let diskSize = MetricDefinition(
    .gauge, "ringstore_log_disk_size_bytes", "Bytes of the data directory's file system.")
  package static let logFiles = MetricDefinition(
    .gauge, "ringstore_log_files_bytes", "Bytes of the disk that the data directory's files take.")
  package static let diskFull = MetricDefinition(
    .gauge, "ringstore_log_disk_full", "1 while writes are refused because the disk is full.")
  package static let logStalled = MetricDefinition(
    .gauge, "ringstore_log_stalled", "1 while writes are refused because the disk is too slow.")
  package static let passes = MetricDefinition(
    .counter, "ringstore_passes_total", "Passes (snapshots of all keys).")
  package static let passRunning = MetricDefinition(
    .gauge, "ringstore_pass_running", "1 during a pass.")
  package static let passDuration = MetricDefinition(
    .gauge, "ringstore_pass_last_duration_seconds", "How long the last complete pass took.")
  package static let passCompleted = MetricDefinition(
    .gauge, "ringstore_pass_last_completed_timestamp_seconds",
    "When the last pass was completed, in seconds since 1970.")
  package static let gateReplies = MetricDefinition(
    .gauge, "ringstore_gate_replies", "Frames and replies that wait for the log.")
  package static let gateWait = MetricDefinition(
    .histogram, "ringstore_gate_wait_seconds", "How long replies waited for the log.")
  package static let backupsRunning = MetricDefinition(
    .gauge, "ringstore_backups_running", "Backups in progress.")
  package static let backupCompleted = MetricDefinition(
    .gauge, "ringstore_backup_last_completed_timestamp_seconds",
    "When a backup was last read to its end, in seconds since 1970.")
}

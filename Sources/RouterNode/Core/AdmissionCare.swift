// Whether a call may have to wait, or to fail, although its shard's link is ready: the only
// question for every call. If so it is admitted with care (RouterCore.admitWithCare).
//
// It may be needed without a reason for a while, never the reverse: what may hold calls begins it,
// and it ends when nothing is left of that. Pure; part of a router's core.

struct AdmissionCare {
  private(set) var isNeeded = true

  /// Something has begun that may hold calls.
  mutating func begin() { isNeeded = true }

  /// Finds out whether anything is left that may hold calls. O(links).
  mutating func update(_ agreement: MapAgreement, _ holds: SlotHolds, _ links: LinkTable) {
    isNeeded =
      agreement.isDoubted || !agreement.isKnown || !holds.isEmpty
      || links.contains { $0.isMoving || $0.state.isReady && !($0.isMember && $0.isServing) }
  }
}

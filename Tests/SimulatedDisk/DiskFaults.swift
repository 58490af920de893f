// What a test asks of a simulated disk: which calls fail, at which one the power goes, and what a
// power loss leaves. All of it follows from numbers, so a run can be repeated.

import LogFiles
import TestSeeds

/// What a power loss leaves of the writes that weren't synced.
package enum PowerLoss: Sendable, CaseIterable {
  case nothingUnsynced
  case everything
  /// Any sectors of them, in any of the versions that they had: writes are lost, kept, torn and
  /// reordered. Of changed names any subset stays.
  case anySubset
}

package enum DiskFault: Sendable {
  /// The call fails with this code of the system. A write may be done in part, a sync loses what it
  /// was to keep.
  case error(Int32)
  /// The power goes during the call: it may have been done or not, and all later ones fail.
  case powerLoss
}

extension SeededRandom {
  /// A number below `count`, which is greater than 0.
  package mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

  package mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

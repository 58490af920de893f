// Decoding with the error for the caller.

import RingstoreAPI

extension WireMessage {
  /// - Throws: INTERNAL if the bytes are not such a message.
  package init(decoding message: UnsafeRawBufferPointer) throws(CallError) {
    do throws(WireError) {
      try self.init(message)
    } catch {
      throw .undecodable(error)
    }
  }
}

// Decoding with the error that a caller is told.

import RingstoreAPI

extension WireMessage {
  /// - Throws: INTERNAL where the bytes are no such message.
  package init(decoding message: UnsafeRawBufferPointer) throws(CallError) {
    do throws(WireError) {
      try self.init(message)
    } catch {
      throw .undecodable(error)
    }
  }
}

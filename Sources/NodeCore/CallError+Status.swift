// Errors as a gRPC status carries them.

import GRPC
import RingstoreAPI

extension CallError {
  /// The status of a call that failed with this error, details and retry hint included.
  package var status: RPCStatus {
    RPCStatus(
      code, message, details: details(), pushbackMillis: doNotRetry ? -1 : nil)
  }
}

// AcceptLoss: an operator makes the cluster accept a shard with other data than before. One loop
// makes the other shards record it; it informs the router's other loops directly, and other routers
// get it from the shards.

import NIOCore
import NodeCore
import Placement
import RingstoreAPI

extension RouterService {
  func acceptLoss(
    _ message: UnsafeRawBufferPointer
  ) throws(CallError) -> EventLoopFuture<ByteBuffer> {
    let request = try V1.AcceptLossRequest(decoding: message)
    if request.hasUnknownField { throw .unknownField }
    let (loops, shard) = (loops, String(decoding: request.shard, as: UTF8.self))
    let response = eventLoop.makePromise(of: ByteBuffer.self)
    response.completeWithTask {
      switch await loops.acceptLoss(of: shard) {
      case .success(let report): return report.message
      case .failure(let refusal):
        throw CallError(
          code: .failedPrecondition, message: "Nothing was accepted: \(refusal.sentence).")
      }
    }
    return response.futureResult
  }

  /// Accepts the loss on this loop. Calls back on the loop with the result.
  func acceptLoss(of shard: String) -> EventLoopFuture<LossReport> {
    let promise = eventLoop.makePromise(of: LossReport.self)
    core.acceptLoss(of: shard) { promise.completeWith($0.mapError { $0 as any Error }) }
    eventHandled()
    return promise.futureResult
  }

  func learn(_ record: LineageRecord, of shard: String) {
    core.learn(record, of: shard)
    eventHandled()
  }
}

extension RouterLoops {
  /// The first loop that has detected the loss accepts it: each loop detects it separately.
  func acceptLoss(of shard: String) async -> Result<LossReport, MapChangeRefusal> {
    var refusal = MapChangeRefusal("the router is starting")
    let services = all
    for (number, service) in services.enumerated().reversed() {
      do {
        let report = try await service.eventLoop.flatSubmit {
          service.value.acceptLoss(of: shard)
        }.get()
        for (other, service) in services.enumerated() where other != number {
          try await service.eventLoop.submit {
            service.value.learn(report.record, of: shard)
          }.get()
        }
        return .success(report)
      } catch let reason as MapChangeRefusal {
        refusal = reason
      } catch {
        refusal = MapChangeRefusal("\(error)")
      }
    }
    return .failure(refusal)
  }
}

extension LossReport {
  fileprivate var message: ByteBuffer {
    typealias Field = V1.AcceptLossResponse.Field
    var message = ByteBuffer()
    for id in recorded { message.write(Field.recorded, id) }
    for id in missing { message.write(Field.missing, id) }
    return message
  }
}

// Frames of links in words.

import Commands
import NIOCore
import NodeCore
import RingstoreAPI

extension LinkWorld {
  func text(toShard frame: ByteBuffer) -> String {
    var words: [String] = []
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.RouterFrame.Parts(bytes)
      while let part = try? parts.next() {
        switch part {
        case .hello(let message):
          guard let hello = try? LinkV1.Hello(message) else { continue }
          let router = String(decoding: hello.router, as: UTF8.self)
          words.append("hello of \(router), generation \(hello.generation)")
        case .calls(let message):
          guard let call = try? LinkV1.LinkCall(message) else { continue }
          let method = CommandTable.all.first { $0.method == call.method }?.name
          words.append("\(number(of: call.id)): \(method ?? "method \(call.method)")")
        case .cancels(let id): words.append("cancel \(number(of: id))")
        case .credits(let message):
          guard let credit = try? LinkV1.Credit(message) else { continue }
          words.append("credit of \(credit.bytes) for \(number(of: credit.id))")
        case .heardMillis(let millis): words.append("heard \(millis) ms")
        default: words.append("\(part)")
        }
      }
    }
    return words.joined(separator: ", ")
  }

  func text(_ frame: ByteBuffer) -> String {
    var words: [String] = []
    frame.withUnsafeReadableBytes { bytes in
      var parts = LinkV1.ShardFrame.Parts(bytes)
      while let part = try? parts.next() {
        switch part {
        case .hello(let message):
          guard let hello = try? LinkV1.HelloReply(message) else { continue }
          words.append(
            hello.accepted
              ? "accepted, incarnation \(hello.incarnation)"
              : "refused, \(String(decoding: hello.refusal, as: UTF8.self))")
        case .replies(let message):
          guard let reply = try? LinkV1.LinkReply(message) else { continue }
          let outcome = reply.error.map { $0.reason?.rawValue ?? $0.code.name } ?? "ok"
          words.append("\(number(of: reply.id)): \(outcome)\(reply.more ? ", more follows" : "")")
        case .draining: words.append("draining")
        case .clockMillis(let millis): words.append("clock \(millis) ms")
        default: words.append("\(part)")
        }
      }
    }
    return words.joined(separator: ", ")
  }
}

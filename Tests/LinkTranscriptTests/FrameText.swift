// Frames of links as text.

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
          let parked = hello.parkedCalls.map { "\(number(of: $0)) was parked" }
          words += ["hello of \(router), generation \(hello.generation)"] + parked
        case .calls(let message):
          guard let call = try? LinkV1.LinkCall(message) else { continue }
          let method = CommandTable.all.first { $0.method == call.method }?.name
          words.append("\(number(of: call.id)): \(method ?? "method \(call.method)")")
        case .cancels(let id): words.append("cancel \(number(of: id))")
        case .credits(let message):
          guard let credit = try? LinkV1.Credit(message) else { continue }
          words.append("credit of \(credit.bytes) for \(number(of: credit.id))")
        case .heardMillis(let millis): words.append("heard \(millis) ms")
        case .offer(let message):
          guard let offer = try? LinkV1.MapOffer(message) else { continue }
          words.append(text(offer))
        default: words.append("\(part)")
        }
      }
    }
    return words.joined(separator: ", ")
  }

  private func text(_ offer: LinkV1.MapOffer) -> String {
    let map = "map \(offer.map?.epoch ?? 0)"
    return switch offer.step {
    case .check: "could it adopt \(map)?"
    case .adopt: "adopt \(map), or confirm it"
    default: "\(map) is in force"
    }
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
              ? "accepted, incarnation \(hello.incarnation)\(hello.mapInForce ? ", map in force" : "")"
              : "refused, \(String(decoding: hello.refusal, as: UTF8.self))")
          words += hello.ranCalls.map { "\(number(of: $0)) was executed" }
        case .replies(let message):
          guard let reply = try? LinkV1.LinkReply(message) else { continue }
          let outcome = reply.error.map { $0.reason?.rawValue ?? $0.code.name } ?? "ok"
          let more = reply.parked ? ", parked" : reply.more ? ", more follows" : ""
          words.append("\(number(of: reply.id)): \(outcome)\(more)")
        case .draining: words.append("draining")
        case .clockMillis(let millis): words.append("clock \(millis) ms")
        case .mapReply(let message):
          guard let reply = try? LinkV1.MapReply(message) else { continue }
          words.append(
            !reply.accepted
              ? "refuses map \(reply.epoch), \(String(decoding: reply.refusal, as: UTF8.self))"
              : "holds map \(reply.epoch)\(reply.inForce ? ", which is in force" : "")")
        case .mapNews(let message):
          guard let news = try? LinkV1.MapNews(message), let map = news.map else { continue }
          words.append("map \(map.epoch) is \(news.inForce ? "in force" : "adopted")")
        }
      }
    }
    return words.joined(separator: ", ")
  }
}

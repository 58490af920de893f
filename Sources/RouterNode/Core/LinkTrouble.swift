// Why a link can't be used, with advice for the operator. Some reasons are permanent: the attempts
// continue, and each fails in the same way. So a reason is logged once, and again only after the
// link has been ready in between. A value; part of a router's core.

import RingstoreAPI
import StatusCodes

struct LinkTrouble {
  /// The maximum number of reasons remembered since the link was ready; further ones are not
  /// logged.
  private static let reasonsMax = 16
  private var told: Set<String> = []
  /// For what the shard has refused the latest attempt; nil: that has ended otherwise, or the link
  /// is ready.
  private(set) var refusal: LinkRefusal?

  /// Whether a reason has not been logged since the link was ready.
  mutating func isNews(_ reason: String) -> Bool {
    told.count < Self.reasonsMax && told.insert(reason).inserted
  }

  /// The link is lost, or an attempt has failed.
  ///
  /// - Parameter refusal: for what the shard has refused it, if it has.
  mutating func lost(_ refusal: LinkRefusal?) {
    self.refusal = refusal
  }

  /// The link is ready.
  mutating func end() {
    told = []
    refusal = nil
  }

  /// The settings that would help, by a part of the transport's reason.
  private static let advices = [
    ("connect failed: the peer closed the connection", "if the shard uses TLS, set `shard_tls_ca`"),
    ("requires a certificate", "set `shard_tls_certificate` and `shard_tls_key`"),
    ("not of the certificate authority", "`shard_tls_ca` names the authority to trust"),
    ("doesn't use TLS", "the shard has no TLS: remove `shard_tls_ca`, or give it a certificate"),
    ("certificate is for another name", "`shard_tls_server_name` sets the name to expect"),
  ]

  /// What to do about a link that was not made because of TLS; nil: nothing is known.
  /// - Parameter reason: as the transport gives it.
  static func advice(_ reason: String) -> String? {
    advices.first { reason.contains($0.0) }?.1
  }
}

extension LinkRefusal {
  /// What the reason means and what to do about it.
  package func sentence(address: String) -> String {
    switch self {
    case .wrongCluster:
      "the shard at \(address) belongs to another cluster; start routers and shards with the same "
        + "`cluster`"
    case .wrongShard:
      "another shard than expected listens at \(address); correct the addresses in the router's list "
        + "of shards"
    case .staleMap, .mapConflict:
      "the shard holds another slot map; give all routers the same shards, ids and weights"
    case .protocolVersion:
      "the node at \(address) has another version of the link protocol; run releases with the same "
        + "one on all nodes"
    case .wrongHashSeed:
      "the shard at \(address) has another hash seed; give all routers and shards the same `hash_seed`"
    case .unauthenticated:
      "the shard at \(address) doesn't admit this router; set the token of a user with the "
        + "permission `router` in `shard_token_file`, or that user's certificate in "
        + "`shard_tls_certificate` and `shard_tls_key`"
    case .loading: "the shard at \(address) is loading its data; it serves when that is done"
    case .dataLost:
      "the shard at \(address) doesn't have its previous data, as after a lost disk or with "
        + "another data_dir; start it with its own data_dir, or, if that is lost, accept the loss "
        + "with `ringstore admin accept-loss` and its id"
    case .staleGeneration: "a newer connection of this router has taken over"
    }
  }

  /// The reason and the sentence, for errors and Describe.
  package func detail(address: String) -> String {
    "\(rawValue): \(sentence(address: address))"
  }
}

/// How a link has ended, as far as its connections tell.
package struct LinkEnding: Hashable {
  /// For the log, for errors and Describe.
  package let reason: String
  /// Nil: no shard has refused it.
  package let refusal: LinkRefusal?

  /// The connection was lost, or could not be made.
  package init(_ reason: String, refusal: LinkRefusal? = nil) {
    self.reason = reason
    self.refusal = refusal
  }

  /// The link's call has ended.
  package init(_ code: StatusCode, status: String, address: String) {
    switch code {
    case .ok: self.init("the shard ended the stream")
    case .unauthenticated, .permissionDenied:
      self.init(
        LinkRefusal.unauthenticated.detail(address: address), refusal: .unauthenticated)
    case .unimplemented:
      self.init(
        "NOT_A_SHARD: the server at \(address) is not a shard, but perhaps a router; "
          + "correct the addresses in the router's list of shards")
    default: self.init(status)
    }
  }
}

// What `ringstore admin accept-loss` asks and says. Pure, any thread.

import RingstoreClient

package enum LossText {
  /// Asked on a terminal; the answer is the shard's id.
  package static func question(_ shard: String) -> String {
    """
    Shard \(shard) doesn't have the data that the cluster has on record for it. To accept means:
    - It serves with what it has now. Where its disk is empty, all its keys are gone.
    - Its old data directory, should it turn up, is refused from then on.
    If the old directory can be brought back, answer nothing, and start the shard with it instead.
    To accept the loss, type the shard's id:\u{20}
    """
  }

  package static func isMeant(_ answer: String, _ shard: String) -> Bool { answer == shard }

  /// Used where stdin is not a terminal, so that no answer can be given.
  package static func needsYes(_ shard: String) -> String {
    "accept-loss gives up the data that shard \(shard) had; say --yes, since there is no terminal "
      + "to ask on."
  }

  package static func text(_ accepted: RingstoreAcceptedLoss, _ shard: String) -> String {
    var text = "shard \(shard) is taken as it is"
    if !accepted.recorded.isEmpty {
      text += "; on record at \(accepted.recorded.joined(separator: ", "))"
    }
    if !accepted.missing.isEmpty {
      text +=
        "\nnot reached: \(accepted.missing.joined(separator: ", ")); told when they are back"
    }
    return text
  }
}

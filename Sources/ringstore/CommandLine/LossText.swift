// The question and the results of `ringstore admin accept-loss`. Pure, any thread.

import RingstoreClient
import TextForms

package enum LossText {
  /// Asked on a terminal; the reply is the shard's id.
  package static func question(_ shard: String) -> String {
    """
    Shard \(shard) doesn't have the data that the cluster has recorded for it. If you accept:
    - It serves with its current data. If its disk is empty, all its keys are lost.
    - Its old data directory, if it is found later, is refused from then on.
    If you can bring the old directory back, type nothing, and start the shard with it instead.
    To accept the loss, type the shard's id:\u{20}
    """
  }

  package static func isMeant(_ typed: String, _ shard: String) -> Bool { typed == shard }

  /// Used where stdin is not a terminal, so that nothing can be typed.
  package static func needsYes(_ shard: String) -> String {
    "accept-loss abandons the data that shard \(shard) had; add --yes, since there is no terminal "
      + "to ask on."
  }

  package static func text(_ accepted: RingstoreAcceptedLoss, _ shard: String) -> String {
    var text = "shard \(shard) is accepted with its current data"
    if !accepted.recorded.isEmpty {
      text += "; recorded at \(VisibleText.line(accepted.recorded.joined(separator: ", ")))"
    }
    if !accepted.missing.isEmpty {
      let missing = VisibleText.line(accepted.missing.joined(separator: ", "))
      text += "\nnot reached: \(missing); they get the record later"
    }
    return text
  }
}

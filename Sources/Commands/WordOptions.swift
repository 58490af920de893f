// Options of commands in words: `SET key value [EX seconds|PX millis] [NX|XX]`. They are parsed
// from the usage, so that help, completion and parsing agree. They follow all other words, in any
// order and any case; of those in one pair of brackets only one is allowed.
//
// Values; any thread.

/// Of these, one may be given.
package struct OptionGroup: Sendable, Hashable {
  package struct Option: Sendable, Hashable {
    /// In capitals.
    package let name: String
    /// Whether a word follows it.
    package let hasValue: Bool
  }

  package let options: [Option]

  /// How many words it may have.
  var wordsMax: Int { options.contains(where: \.hasValue) ? 2 : 1 }

  /// - Parameter text: the contents of the brackets; returns nil if they are not options.
  init?(_ text: Substring) {
    guard text.first?.isUppercase == true, !text.contains("...") else { return nil }
    options = text.split(separator: "|").compactMap { alternative in
      let words = alternative.split(separator: " ")
      // What begins with a small letter is another value: `TYPE string|list`.
      guard let name = words.first, name.first?.isUppercase == true else { return nil }
      return Option(name: String(name), hasValue: words.count > 1)
    }
  }
}

/// Which options were given, and their positions.
struct WordOptions {
  /// The option's name, and the position of its value; of an option without one, its own position.
  fileprivate var given: [(name: String, place: Int)] = []

  var isEmpty: Bool { given.isEmpty }

  func place(of name: String) -> Int? { given.first { $0.name == name }?.place }
}

extension Syntax {
  /// Parses the words after the required ones.
  ///
  /// - Throws: a word that is no option of the command, has no value, or excludes another.
  func options(in words: CommandWords) throws(ArgumentError) -> WordOptions {
    var options = WordOptions()
    var chosen: [String?] = Array(repeating: nil, count: optionGroups.count)
    var place = self.words.lowerBound
    while place < words.count {
      guard let (group, option) = option(words[place]) else {
        throw .badOptions("\(name) takes no option '\(words.shown(place))'; usage: \(usage)")
      }
      if let other = chosen[group] {
        let isTwice = other == option.name
        throw .badOptions(
          isTwice ? "\(other) is given twice" : "\(other) and \(option.name) exclude each other")
      }
      chosen[group] = option.name
      if option.hasValue { place += 1 }
      guard place < words.count else {
        throw .badOptions("\(option.name) needs a value after it; usage: \(usage)")
      }
      options.given.append((option.name, place))
      place += 1
    }
    return options
  }

  private func option(
    _ word: UnsafeRawBufferPointer
  ) -> (group: Int, option: OptionGroup.Option)? {
    for (place, group) in optionGroups.enumerated() {
      if let option = group.options.first(where: { word.isWord($0.name) }) {
        return (place, option)
      }
    }
    return nil
  }
}

extension CommandWords {
  /// Whether an option was given.
  func has(_ option: String) -> Bool { options.place(of: option) != nil }

  /// The position of the word after an option; nil if it was not given.
  func place(behind option: String) -> Int? { options.place(of: option) }

  /// A word for messages; of a long one the beginning.
  fileprivate func shown(_ index: Int) -> String {
    let shown = self[index].prefix(Self.shownBytesMax)
    return String(decoding: shown, as: UTF8.self) + (shown.count < self[index].count ? "..." : "")
  }

  private static let shownBytesMax = 128
}

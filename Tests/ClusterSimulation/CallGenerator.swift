// What clients ask for: random calls on a few keys, some for strings, some for counters, some for
// lists, some for anything. Which commands there are, and which words they have, is read in the
// command table.
//
// Owns the names of the keys. A value; one thread. Every value written is written by one call only
// and names it, so that a value found tells which call has been executed.

import Commands
import NodeCore
import RingstoreAPI

package struct CallGenerator {
  package enum Use: CaseIterable {
    case text, counter, list, anything
  }

  package let keys: [(name: [UInt8], use: Use)]
  /// The last keys, which lie in one slot: values move between them, and pops name several.
  let group: [[UInt8]]

  /// - Parameter random: the names, and so the keys' shards, are drawn from it.
  package init(keyCount: Int, random: inout SplitMix64) {
    let uses: [Use] = [.list, .counter, .text, .anything, .list]
    let usesInGroup: [Use] = [.list, .list, .anything]
    let single = keyCount - usesInGroup.count
    var tag = ""
    let keys = (0..<keyCount).map { index in
      let use = index < single ? uses[index % uses.count] : usesInGroup[index - single]
      let suffix = String(random.next() % 10_000)
      if index == single { tag = suffix }
      let name = "\(use)-\(index)-" + (index < single ? suffix : "{\(tag)}")
      return (name: Array(name.utf8), use: use)
    }
    self.keys = keys
    group = keys.suffix(usesInGroup.count).map(\.name)
  }

  /// What clients were told last of a key.
  package struct Knowledge: Sendable {
    var version: UInt64 = 0
    var value: [UInt8]?

    package init() {}

    /// Learns from a reply.
    package mutating func learn(_ call: KeyCall, _ reply: KeyReply) {
      switch reply {
      case .versioned(let told, let version):
        self.version = version
        if case .value(let value) = told { self.value = value }
        if told == .done, call.model === CommandModel.setIfVersion { value = call.words[0] }
      case .value(let told) where call.isCall(of: .get): value = told
      case .done where call.isCall(of: .set): value = call.words[0]
      default: break
      }
    }
  }

  // MARK: - Objects: what is checked together

  /// The key itself, or the first key of its group.
  package func object(of key: [UInt8]) -> [UInt8] { group.contains(key) ? group[0] : key }

  func place(of key: [UInt8]) -> Int { group.firstIndex(of: key) ?? 0 }

  /// The call, told where its keys are in their object.
  package func placed(_ call: KeyCall, on key: [UInt8]) -> KeyCall {
    call.at(place(of: key), place(of:))
  }

  var objects: [[UInt8]] { keys.map(\.name).filter { object(of: $0) == $0 } }

  /// Who makes a call: its values are named after that.
  package struct Caller: Sendable {
    let client: Int
    let sequence: Int

    package init(client: Int, sequence: Int) {
      (self.client, self.sequence) = (client, sequence)
    }
  }

  /// A key that may hold a list.
  func list(random: inout SplitMix64) -> [UInt8] {
    let lists = keys.filter { $0.use == .list || $0.use == .anything }
    return lists[Int.random(in: lists.indices, using: &random)].name
  }

  func range(random: inout SplitMix64) -> KeyCall {
    call(of: .lRange, on: [], by: Caller(client: 0, sequence: 0), .list, &random)
  }

  /// - Parameters:
  ///   - wallMillis: the wall clock. Keys that are to expire do so soon after.
  ///   - waitMillisMax: how long calls may wait for values; 0: none does.
  ///   - countsTimes: whether calls name times to live, which count from when they are executed.
  ///   - overLines: whether the call is said in a line.
  ///   - knowledge: what is known of a key.
  package func oneKey(
    by caller: Caller, wallMillis: Int64 = 0, waitMillisMax: Int = 0, countsTimes: Bool = false,
    overLines: Bool = false, knowledge: ([UInt8]) -> Knowledge = { _ in Knowledge() },
    random: inout SplitMix64
  ) -> (key: [UInt8], call: KeyCall) {
    let key = keys[Int.random(in: keys.indices, using: &random)]
    let call = call(for: key.use, of: key.name, by: caller, &random)
    if waitMillisMax > 0, let waiting = waiting(call, key.name, waitMillisMax, &random) {
      return (key.name, waiting)
    }
    if overLines {
      // What it tells is shown to people.
      if call.isCall(of: .inspect) { return (key.name, KeyCall(.exists)) }
    } else if let other = withVersions(call, knowledge(key.name), &random) {
      return (key.name, other)
    }
    let timed = withTimes(
      call, wallMillis, countsTimes: countsTimes, overLines: overLines, &random)
    return (key.name, timed)
  }

  /// Makes of some calls such as tell versions, or depend on one or on a value.
  private func withVersions(
    _ call: KeyCall, _ knowledge: Knowledge, _ random: inout SplitMix64
  ) -> KeyCall? {
    let ofFour = random.next() % 4
    switch call.model.command?.id {
    case .get?: return ofFour < 2 ? .getWithVersion : nil
    case .set?: return ofFour == 0 ? .setIfVersion(call.words[0], knowledge.version) : nil
    case .delete?:
      if ofFour == 0 { return .deleteIfVersion(knowledge.version) }
      return ofFour == 1 ? .deleteIfValue(knowledge.value ?? CommandModel.word("none")) : nil
    default: return nil
    }
  }

  /// Makes of some pops and moves calls that wait, and name further keys.
  private func waiting(
    _ call: KeyCall, _ key: [UInt8], _ millisMax: Int, _ random: inout SplitMix64
  ) -> KeyCall? {
    guard let command = call.model.command, let model = CommandModel.waiting[command.id],
      random.next() % 100 < Self.waitingPercent
    else { return nil }
    // Short waits are as likely as long ones.
    let longest = max(1, millisMax >> Int(random.next() % 8))
    let millis = Int.random(in: 1...longest, using: &random)
    let timeout = CommandModel.word("\(millis / 1000).\(String(1000 + millis % 1000).dropFirst())")
    guard command.id != .lMove else { return KeyCall(model, call.words + [timeout]) }
    let others = group.filter { $0 != key && group.contains(key) }.shuffled(using: &random)
    let named = others.prefix(Int(random.next() % UInt64(others.count + 1)))
    return KeyCall(model, (named.isEmpty ? [key] : Array(named)) + [timeout])
  }

  private static let waitingPercent: UInt64 = 60

  /// Puts a moment into a call that has a key expire, and has some Sets do so; some get a
  /// condition.
  private func withTimes(
    _ call: KeyCall, _ wallMillis: Int64, countsTimes: Bool, overLines: Bool,
    _ random: inout SplitMix64
  ) -> KeyCall {
    guard let command = call.model.command else { return call }
    let moment = Self.integer(
      wallMillis + 1...wallMillis + Self.lifeMillisMax, &random)
    let ttl = Self.integer(1...Self.lifeMillisMax, &random)
    var words = call.words
    if command.id == Command.expire.id {
      words = [moment]
      let condition = ["NX", "XX", "GT", "LT", "", ""].randomElement(using: &random) ?? ""
      if !condition.isEmpty { words.append(CommandModel.word(condition)) }
    } else if command.id == .set {
      let dice = random.next() % 12
      if dice < 3 { words += [CommandModel.word("PXAT"), moment] }
      if countsTimes, dice > 9 { words += [CommandModel.word("PX"), ttl] }
      if dice == 3 { words.append(CommandModel.word("KEEPTTL")) }
      if dice % 4 == 2 { words.append(CommandModel.word(dice < 6 ? "NX" : "XX")) }
      // A line doesn't tell whether the condition was met, beside what was there before.
      let mayAsk = !overLines || dice % 4 != 2
      if mayAsk, random.next() % 5 == 0 { words.append(CommandModel.word("GET")) }
    }
    if countsTimes, random.next() % 4 == 0 {
      if command.id == .incrBy { words += [CommandModel.word("PX"), ttl] }
      if command.id == Command.getEx.id {
        let ways = [["PX"], ["PXAT"], ["PERSIST"]].map { $0.map(CommandModel.word) }
        let values = [[ttl], [moment], []]
        let way = Int(random.next() % 3)
        words = ways[way] + values[way]
      }
    }
    return KeyCall(command, words)
  }

  private static let lifeMillisMax: Int64 = 400

  /// The items of a call on many keys, which may come twice.
  func items(
    of calls: ManyKeyCalls, by caller: Caller, random: inout SplitMix64
  ) -> [(key: [UInt8], call: KeyCall)] {
    let isSet = calls.element.id == .set
    let among = keys.filter { !isSet || $0.use == .text || $0.use == .anything }
    return (0..<Int.random(in: 1...5, using: &random)).map { place in
      let key = among[Int.random(in: among.indices, using: &random)]
      return (
        key.name,
        call(of: calls.element, on: key.name, by: caller, .text, firstPlace: place, &random)
      )
    }
  }

  // MARK: - Which command

  private func call(
    for keyUse: Use, of key: [UInt8], by caller: Caller, _ random: inout SplitMix64
  ) -> KeyCall {
    var use = keyUse
    if use == .anything { use = [.text, .counter, .list][Int.random(in: 0..<3, using: &random)] }
    let isQueue = use == .list && group.contains(key)
    let choices = isQueue ? Self.choicesOfQueue : Self.choices[use] ?? []
    var dice = Int.random(in: 0..<choices.reduce(0) { $0 + $1.weight }, using: &random)
    for (command, weight) in choices {
      if dice < weight {
        // Where nothing is moved, the order of what was pushed shows.
        let staysPut = keyUse == .list && !group.contains(key)
        let command = command.id == .lMove && staysPut ? Command.lLen : command
        return call(of: command, on: key, by: caller, use, &random)
      }
      dice -= weight
    }
    return KeyCall(.exists)
  }

  /// How often a command is used, where it is not as often as others.
  private static let weights: [Use: [(Command, Int)]] = [
    .text: [
      (.get, 40), (.set, 40), (.delete, 8), (.exists, 6), (.type, 6), (.incrBy, 2),
      (Command.getDel, 4), (Command.getEx, 4), (Command.getRange, 6), (Command.setRange, 6),
      (Command.expire, 6), (Command.persist, 3), (Command.ttl, 5), (.touch, 3), (.inspect, 5),
      (Command.mSetIfAbsent, 8),
    ],
    .counter: [
      (.incrBy, 60), (.get, 25), (.set, 8), (.delete, 5), (.append, 2), (.strLen, 4), (.exists, 2),
      (.type, 2), (Command.getDel, 3), (Command.getEx, 3), (Command.getRange, 3),
      (Command.setRange, 1), (Command.expire, 5), (Command.persist, 3), (Command.ttl, 3),
      (.touch, 2), (.inspect, 4), (Command.mSetIfAbsent, 3),
    ],
    .list: [
      (.rPush, 20), (.lPush, 16), (.lPop, 16), (.rPop, 16), (.lRange, 18), (.lLen, 7),
      (.delete, 4), (.exists, 2), (.type, 3), (.lPopMany, 4), (Command.expire, 4),
      (Command.persist, 3),
      (Command.ttl, 3), (.rPopMany, 4), (.lIndex, 6),
      (.lSet, 6), (.lTrim, 3), (.lRem, 6), (.lInsert, 6), (.lPos, 6), (.lMove, 8), (.touch, 2),
      (.inspect, 4),
    ],
  ]
  private static let weightOfOthers = 15

  /// The same of lists that are empty most of the time.
  private static let weightsOfQueue: [(Command, Int)] = [
    (.rPush, 16), (.lPush, 12), (.lPop, 30), (.rPop, 30), (.lMove, 30), (.lRange, 8), (.lLen, 4),
    (.lPopMany, 4), (.rPopMany, 4), (.delete, 5), (.lTrim, 2),
  ]

  private static let choices: [Use: [(command: Command, weight: Int)]] = {
    var choices: [Use: [(command: Command, weight: Int)]] = [:]
    for use in [Use.text, .counter, .list] {
      choices[use] = chosen(of: use == .list ? .list : .string, weights[use] ?? [], weightOfOthers)
    }
    return choices
  }()

  private static let choicesOfQueue = chosen(of: .list, weightsOfQueue, 1)

  private static func chosen(
    of kind: KeyState.Kind, _ weights: [(Command, Int)], _ others: Int
  ) -> [(command: Command, weight: Int)] {
    CommandModel.all.compactMap { model in
      guard let command = model.command, model.kind ?? kind == kind else { return nil }
      return (command, weights.first { $0.0.id == command.id }?.1 ?? others)
    }
  }

  // MARK: - Which words

  private func call(
    of command: Command, on key: [UInt8], by caller: Caller, _ use: Use, firstPlace: Int = 0,
    _ random: inout SplitMix64
  ) -> KeyCall {
    let form = CommandModel.of(command)?.form
    let usage = WordsOfUsage(form?.syntax.usage ?? "")
    var names = usage.required
    // The simulation knows one key of a call.
    if !usage.repeated.isEmpty, !usage.repeated.contains("key"), random.next() % 2 == 0 {
      names += usage.repeated
    }
    let words = names.enumerated().map { place, name in
      let author = ValueName(command, caller, place: firstPlace + place)
      switch name {
      // Where there is no other key, the list goes round.
      case "destination":
        guard group.contains(key) else { return key }
        return group[Int(random.next() % UInt64(group.count))]
      // Often one that is there.
      case "pivot": return known(Int(random.next() % 4), caller)
      case "value" where Self.searches(command): return known(Int(random.next() % 4), caller)
      default: return Self.word(name, author, use, &random)
      }
    }
    return KeyCall(command, words + wordsOfOthers(command, key, caller, firstPlace, &random))
  }

  /// Of a call on several keys the further ones, with their values.
  private func wordsOfOthers(
    _ command: Command, _ key: [UInt8], _ caller: Caller, _ firstPlace: Int,
    _ random: inout SplitMix64
  ) -> [[UInt8]] {
    guard command.id == Command.mSetIfAbsent.id, group.contains(key) else { return [] }
    let others = group.filter { $0 != key }.shuffled(using: &random)
    let named = others.prefix(Int(random.next() % UInt64(others.count + 1)))
    return named.enumerated().flatMap { place, other in
      [other, ValueName(command, caller, place: firstPlace + place + 1).bytes]
    }
  }

  private static func searches(_ command: Command) -> Bool {
    command.id == .lRem || command.id == .lPos
  }

  /// A value that a push of the same client may have written.
  private func known(_ back: Int, _ caller: Caller) -> [UInt8] {
    let earlier = Caller(client: caller.client, sequence: max(0, caller.sequence - 1 - back))
    return ValueName(back % 2 == 0 ? .rPush : .lPush, earlier, place: 0).bytes
  }

  /// A word for what a usage calls by a name.
  private static func word(
    _ name: String, _ author: ValueName, _ use: Use, _ random: inout SplitMix64
  ) -> [UInt8] {
    switch name {
    case "value":
      if use == .counter { return author.number }
      guard random.next() % 5 == 0 else { return author.bytes }
      // A large value.
      let dots = Int.random(in: 1...largeBytesMax, using: &random)
      return author.bytes + Array(repeating: UInt8(ascii: "."), count: dots)
    // Set later.
    case "unix-millis": return CommandModel.word("0")
    case "offset": return integer(0...6, &random)
    case "delta": return integer(-3...9, &random)
    case "index": return integer(-4...4, &random)
    case "count": return integer(0...3, &random)
    case "BEFORE|AFTER", "LEFT|RIGHT":
      let words = name.split(separator: "|")
      return Array(words[Int(random.next() % 2)].utf8)
    case "start": return random.next() % 3 > 0 ? integer(0...0, &random) : integer(-3...1, &random)
    case "stop":
      return random.next() % 3 > 0 ? integer(-1 ... -1, &random) : integer(-3...3, &random)
    default: preconditionFailure("no word is known for \(name)")
    }
  }

  private static func integer(
    _ range: ClosedRange<Int64>, _ random: inout SplitMix64
  ) -> [UInt8] {
    Array(String(Int64.random(in: range, using: &random)).utf8)
  }

  /// Bytes that a large value has, roughly, at most.
  private static let largeBytesMax = 160
}

/// What a usage such as `RPUSH key value [value ...]` calls the words behind the key.
private struct WordsOfUsage {
  private(set) var required: [String] = []
  /// Those that may come again and again. Other words in brackets are left out.
  private(set) var repeated: [String] = []

  init(_ usage: String) {
    let parts = usage.split(separator: "[", maxSplits: 1)
    required = parts[0].split(separator: " ").dropFirst(2).map(String.init)
    guard parts.count == 2 else { return }
    let names = parts[1].split { " ]".contains($0) }
    if names.last == "..." { repeated = names.dropLast().map(String.init) }
  }
}

/// A value that names the call that writes it: the command in a letter, then client, sequence and
/// place in the call.
struct ValueName {
  let letter: UInt8
  let client: Int
  let sequence: Int
  let place: Int

  init(_ command: Command, _ caller: CallGenerator.Caller, place: Int) {
    letter = Self.letter(of: command)
    (client, sequence) = (caller.client, caller.sequence)
    self.place = place
  }

  /// Reads a value.
  init?(_ value: [UInt8]) {
    let numbers = value.dropFirst().split(separator: UInt8(ascii: ".")).compactMap {
      Int(String(decoding: $0, as: UTF8.self))
    }
    guard let letter = value.first, numbers.count == 3 else { return nil }
    self.letter = letter
    (client, sequence, place) = (numbers[0], numbers[1], numbers[2])
  }

  /// Those of pushes are theirs alone.
  static func letter(of command: Command) -> UInt8 {
    let name = command.name
    let isOther = "LR".contains(name.prefix(1)) && !name.hasSuffix("Push")
    return (isOther ? name.dropFirst() : name[...]).utf8.first ?? 0
  }

  var bytes: [UInt8] { [letter] + Array("\(client).\(sequence).\(place)".utf8) }

  /// Unlike all others, and an integer: increments work on it.
  var number: [UInt8] { Array(String(1_000_000 * (client * 10_000 + sequence)).utf8) }
}

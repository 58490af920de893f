// The line protocol's parser: bytes in, however they are split; requests out. Grammar:
//
//   request = "*" N eol N*( line eol )       N: 1 or more; the first line is the command's name
//           / inline eol                     a command on one line, see InlineWords.swift
//   line    = *any-but-CR-LF                 whatever it begins with; but a first one with "$" is
//                                            reserved
//   eol     = CR LF / LF                     LF alone is unambiguous: a line never holds one
//
// Empty inline lines are passed over. Pure; belongs to one connection.
//
// Memory. The bytes of one unfinished request are kept, up to its limits: they are checked as bytes
// arrive, before the request is complete. No memory is reserved for a count that a client has only
// announced.
//
// Invariant: offsets are counted from the first readable byte of `input`, where a request begins;
// 0 <= lineStart <= searched <= readable bytes, and [lineStart, searched) holds no LF.

import Commands
import NIOCore

package struct LineParser {
  package enum Event {
    case request(LineRequest)
    /// The request was skipped, or, with `endsConnection`, nothing more will be read.
    case failure(LineFailure)
  }

  package let limits: LineLimits
  private var input = ByteBuffer()
  private var lineStart = 0
  private var searched = 0
  /// Lines of a `*N` request still missing; nil: its first line has not arrived yet.
  private var linesLeft: Int?
  private var words: [Range<Int>] = []
  private var hasStrayCarriageReturn = false
  private var isOver = false

  package init(_ limits: LineLimits) {
    self.limits = limits
  }

  /// Bytes that are kept, of an unfinished request or of requests that were not fetched yet.
  package var heldBytes: Int { isOver ? 0 : input.readableBytes }

  /// Takes bytes that were read. They should not be many more than a socket gives at once. A buffer
  /// that is mostly empty is copied: the next read can use it again.
  package mutating func append(_ bytes: ByteBuffer) {
    guard !isOver else { return }
    if input.readableBytes == 0 {
      let isMostlyEmpty = bytes.storageCapacity > 4 * bytes.readableBytes
      input = isMostlyEmpty ? ByteBuffer(bytes: bytes.readableBytesView) : bytes
    } else {
      input.discardReadBytes()
      input.writeImmutableBuffer(bytes)
    }
  }

  /// The next request or failure, or nil until more bytes have arrived. Amortised O(bytes).
  package mutating func next() -> Event? {
    while !isOver {
      if isReserved { return end(.reservedLength) }
      let start = lineStart
      guard let line = nextLine() else {
        if let failure = lengthFailure(start, searched - start) { return end(failure) }
        compact()
        return nil
      }
      if let failure = lengthFailure(start, line.count) { return end(failure) }
      if let event = linesLeft == nil ? takeFirst(line) : takeLine(line) { return event }
    }
    return nil
  }

  /// To be called when the client sends no more and `next` has no more events: whether that was
  /// within a request.
  package mutating func finish() -> LineFailure? {
    guard !isOver else { return nil }
    isOver = true
    let isBlank = input.readableBytesView.allSatisfy(LineText.isBlank)
    return isBlank && linesLeft == nil ? nil : .truncated
  }

  // MARK: - Finding lines

  /// The range of the next line, including its CR; nil if its LF has not arrived.
  private mutating func nextLine() -> Range<Int>? {
    let (start, from) = (lineStart, searched)
    let end = input.withUnsafeReadableBytes {
      LineText.offset(of: LineText.lineFeed, in: $0, from: from)
    }
    guard let end else {
      searched = input.readableBytes
      return nil
    }
    lineStart = end + 1
    searched = lineStart
    return start..<end
  }

  /// The error of a line with this many bytes, possibly including a CR, before the LF or received
  /// so far. The limit that is exceeded first counts, so the reply doesn't depend on how the bytes
  /// were split.
  private func lengthFailure(_ start: Int, _ count: Int) -> LineFailure? {
    if linesLeft != nil {
      let roomInLine = limits.maxLineBytes + 1
      let roomInRequest = limits.maxRequestBytes - start
      guard count > min(roomInLine, roomInRequest) else { return nil }
      return roomInLine <= roomInRequest
        ? .lineTooLong(max: limits.maxLineBytes) : .requestTooLong(max: limits.maxRequestBytes)
    }
    if count > LineLimits.maxCountLineBytes, byte(at: start) == Self.star {
      // Their count has at most as many digits as any line of that kind.
      let digits = start + 1..<start + LineLimits.maxCountLineBytes
      return withLine(digits) { $0.first != UInt8(ascii: "-") && LineText.isNumber($0) }
        ? .tooManyLines(max: limits.maxLines) : .badCount
    }
    return count > limits.maxInlineBytes + 1 ? .inlineTooLong(max: limits.maxInlineBytes) : nil
  }

  /// Whether the first line after `*N` begins with `$`.
  private var isReserved: Bool {
    linesLeft != nil && words.isEmpty && byte(at: lineStart) == UInt8(ascii: "$")
  }

  private func byte(at offset: Int) -> UInt8? {
    input.getInteger(at: input.readerIndex + offset)
  }

  private func withoutCarriageReturn(_ line: Range<Int>) -> Range<Int> {
    let hasOne = !line.isEmpty && byte(at: line.upperBound - 1) == LineText.carriageReturn
    return line.lowerBound..<line.upperBound - (hasOne ? 1 : 0)
  }

  private func withLine<Result>(
    _ line: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    input.withUnsafeReadableBytes { body(UnsafeRawBufferPointer(rebasing: $0[line])) }
  }

  // MARK: - Taking them

  private static let star = UInt8(ascii: "*")

  /// The first line of a request: the number of those that follow, or a command in itself.
  private mutating func takeFirst(_ line: Range<Int>) -> Event? {
    let line = withoutCarriageReturn(line)
    guard byte(at: line.lowerBound) == Self.star, !line.isEmpty else { return takeInline(line) }
    let number = line.lowerBound + 1..<line.upperBound
    guard let count = withLine(number, LineText.count) else { return end(.badCount) }
    guard count <= limits.maxLines else { return end(.tooManyLines(max: limits.maxLines)) }
    guard count > 0 else {
      startNext()
      return .failure(.noLines)
    }
    linesLeft = count
    return nil
  }

  private mutating func takeLine(_ line: Range<Int>) -> Event? {
    let line = withoutCarriageReturn(line)
    guard line.count <= limits.maxLineBytes else {
      return end(.lineTooLong(max: limits.maxLineBytes))
    }
    if !withLine(line, LineText.fitsLine) { hasStrayCarriageReturn = true }
    words.append(line)
    let left = (linesLeft ?? 1) - 1
    linesLeft = left
    guard left == 0 else { return nil }
    defer { startNext() }
    guard !hasStrayCarriageReturn,
      let bytes = input.getSlice(at: input.readerIndex, length: lineStart)
    else { return .failure(.strayCarriageReturn) }
    return .request(LineRequest(bytes: bytes, words: words))
  }

  private mutating func takeInline(_ line: Range<Int>) -> Event? {
    guard line.count <= limits.maxInlineBytes else {
      return end(.inlineTooLong(max: limits.maxInlineBytes))
    }
    let split: Result<InlineWords, LineFailure> = withLine(line) { bytes in
      guard LineText.fitsLine(bytes) else { return .failure(.strayCarriageReturn) }
      do throws(LineFailure) {
        return .success(try InlineWords(bytes))
      } catch {
        return .failure(error)
      }
    }
    startNext()
    switch split {
    case .failure(let failure): return .failure(failure)
    case .success(let inline) where inline.words.isEmpty: return nil
    case .success(let inline):
      let request = LineRequest(bytes: inline.bytes, words: inline.words)
      return request.withWords(Self.isHTTP) ? end(.http) : .request(request)
    }
  }

  /// The first lines of an HTTP request. A command has no such form.
  private static func isHTTP(_ words: CommandWords) -> Bool {
    let first = words[0]
    if UnsafeRawBufferPointer(rebasing: first.prefix(5)).isWord("Host:") { return true }
    if words.isWord(0, "POST") { return true }
    return words.count == 3 && words[2].starts(with: "HTTP/".utf8)
      && httpMethods.contains { words.isWord(0, $0) }
  }

  private static let httpMethods = [
    "GET", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI",
  ]

  // MARK: - Bytes

  /// The request was fetched; the bytes found so far belong to the next.
  private mutating func startNext() {
    input.moveReaderIndex(forwardBy: lineStart)
    (lineStart, searched, linesLeft) = (0, 0, nil)
    words = []
    hasStrayCarriageReturn = false
  }

  private mutating func end(_ failure: LineFailure) -> Event {
    isOver = true
    input = ByteBuffer()
    words = []
    return .failure(failure)
  }

  /// A few bytes of an unfinished request must not hold the whole buffer that they were read into.
  private mutating func compact() {
    let held = input.readableBytes
    if held == 0 {
      input = ByteBuffer()
    } else if input.storageCapacity > max(4 * held, Self.looseBytesMax) {
      input = ByteBuffer(bytes: input.readableBytesView)
    }
  }

  private static let looseBytesMax = 1_024
}

// The state of a stream, without a stream.

import Testing

@testable import HTTP2

@Suite struct StreamStateTests {
  private var state = StreamState()

  // MARK: - The peer

  @Test mutating func aResponseComesInBlocks() {
    #expect(state.receivedBlock(isInterim: true, endsStream: false) == .interim)
    #expect(!state.hasHeaders)
    #expect(state.receivedBlock(isInterim: false, endsStream: false) == .lasting)
    #expect(state.hasHeaders && !state.hasPeerEnded)
    #expect(state.receivedBlock(isInterim: false, endsStream: true) == .lasting)
    #expect(state.hasTrailers && state.hasPeerEnded)
  }

  @Test mutating func headersCanBeAll() {
    _ = state.receivedBlock(isInterim: false, endsStream: true)
    #expect(state.hasHeaders && state.hasPeerEnded && !state.hasTrailers)
  }

  @Test mutating func aBodyEndsThePeersSideWithoutTrailers() {
    _ = state.receivedBlock(isInterim: false, endsStream: false)
    state.receivedEnd()
    #expect(state.hasPeerEnded && !state.hasTrailers)
  }

  @Test mutating func nothingEndsBeforeItHasBegun() {
    state.receivedEnd()
    #expect(!state.hasPeerEnded)
  }

  // MARK: - Our side

  @Test mutating func headersAreSubmittedOnce() {
    #expect(state.announce(hasBody: true) == true)
    #expect(state.announce(hasBody: true) == false)
    #expect(state.isAnnounced && !state.haveWeEnded)
  }

  @Test mutating func ourSideEndsOnceAndNotBeforeItHasBegun() {
    #expect(state.finish() == false)
    #expect(state.finishWithTrailers() == false)
    _ = state.announce(hasBody: true)
    #expect(state.finishWithTrailers() == true)
    #expect(state.finish() == false)
    #expect(state.finishWithTrailers() == false)
    #expect(state.haveWeEnded)
  }

  @Test mutating func aResponseWithoutABodyHasEnded() {
    #expect(state.announce(hasBody: false) == true)
    #expect(state.haveWeEnded)
    #expect(state.finish() == false)
  }

  @Test mutating func aBodyGoesInPartsAndThenTheLibraryWaitsForMore() {
    _ = state.announce(hasBody: true)
    #expect(state.nextPart(available: 30, limit: 20) == .some(20))
    #expect(state.bodyChanged() == false)
    #expect(state.nextPart(available: 10, limit: 20) == .some(10))
    #expect(state.nextPart(available: 0, limit: 20) == .none)
    #expect(state.bodyChanged() == true)
    #expect(state.bodyChanged() == false)
  }

  @Test mutating func theLastPartEndsTheStream() {
    _ = state.announce(hasBody: true)
    _ = state.finish()
    #expect(state.nextPart(available: 30, limit: 20) == .some(20))
    #expect(state.nextPart(available: 10, limit: 20) == .last(10))
  }

  @Test mutating func anEmptyBodyEndsTheStreamToo() {
    _ = state.announce(hasBody: true)
    _ = state.finish()
    #expect(state.nextPart(available: 0, limit: 20) == .last(0))
  }

  @Test mutating func trailersComeBehindTheLastPartOnce() {
    _ = state.announce(hasBody: true)
    _ = state.finishWithTrailers()
    #expect(state.nextPart(available: 10, limit: 20) == .lastBeforeTrailers(10))
    state.submittedTrailers()
    #expect(state.nextPart(available: 0, limit: 20) == .none)
  }

  @Test mutating func aStreamThatIsResetEndsNoBody() {
    _ = state.announce(hasBody: true)
    _ = state.finishWithTrailers()
    #expect(state.reset() == true)
    #expect(state.nextPart(available: 0, limit: 20) == .none)
  }

  // MARK: - The end

  @Test mutating func aStreamIsResetOnce() {
    #expect(state.reset() == true)
    #expect(state.reset() == false)
    #expect(state.isResetting && state.discardsBody)
  }

  @Test mutating func aServerResetsAStreamThatItsClientContinuesAfterTheEnd() {
    _ = state.receivedBlock(isInterim: false, endsStream: false)
    _ = state.announce(hasBody: false)
    var whole = state
    whole.receivedEnd()
    var reset = state
    _ = reset.reset()
    var client = state
    #expect(state.sentHeaders(endStream: true, isServer: true) == true)
    #expect(state.isResetting && state.headersSent)
    #expect(whole.sentHeaders(endStream: true, isServer: true) == false)
    #expect(reset.sentHeaders(endStream: true, isServer: true) == false)
    #expect(client.sentHeaders(endStream: true, isServer: false) == false)
  }

  @Test mutating func aClosedStreamTakesNoCommandAndKeepsItsCode() {
    _ = state.announce(hasBody: true)
    #expect(state.close(.cancel) == true)
    #expect(state.close(.internalError) == false)
    #expect(state.isClosed && state.closeCode == .cancel)
    #expect(state.finish() == false)
    #expect(state.finishWithTrailers() == false)
    #expect(state.reset() == false)
    var silent = StreamState()
    _ = silent.close(.noError)
    #expect(silent.announce(hasBody: true) == false)
  }
}

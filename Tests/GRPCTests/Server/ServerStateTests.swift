// The states of calls and connections, without either.

import Testing

@testable import GRPC

@Suite struct ServerCallStateTests {
  private var state = ServerCallState()

  @Test mutating func aCallIsOpenFromItsBeginningToItsEnd() {
    #expect(state.isWaiting && !state.isOpen)
    state.begin()
    #expect(state.isOpen && !state.isAdmitted && !state.isWaiting)
    state.admit()
    #expect(state.isOpen && state.isAdmitted && !state.isKnownToService)
    state.introduce()
    #expect(state.isOpen && state.isAdmitted && state.isKnownToService)
    #expect(state.end() == true)
    #expect(!state.isOpen && !state.isAdmitted && !state.isKnownToService && !state.isWaiting)
  }

  @Test mutating func theServiceHearsOfAnEndOnlyIfItHeardOfTheCall() {
    state.begin()
    state.admit()
    #expect(state.end() == false)
    state.introduce()
    #expect(!state.isKnownToService, "a call that is over begins again")
  }

  @Test mutating func nothingGoesBeforeACallHasBegun() {
    state.admit()
    state.introduce()
    #expect(state.isWaiting)
    #expect(state.hold() == false)
  }

  @Test mutating func aCallIsHeldOnceAndItsTurnComesOnce() {
    state.begin()
    #expect(state.hold() == true)
    #expect(state.hold() == false)
    #expect(state.release() == true)
    #expect(state.release() == false)
  }

  @Test mutating func aCallThatEndsWaitsForNothing() {
    state.begin()
    _ = state.hold()
    _ = state.awaitRoom()
    _ = state.end()
    #expect(!state.isHeld && !state.awaitsRoom)
    #expect(state.release() == false)
  }

  @Test mutating func aMessageIsTakenUntilTheServiceHasIt() {
    #expect(state.takesMessage)
    state.gather()
    #expect(state.isGathering && state.takesMessage)
    state.beginDelivery()
    #expect(!state.takesMessage)
    state.endDelivery()
    state.halfClose()
    #expect(!state.takesMessage && !state.isGathering)
    state.gather()
    #expect(state.isHalfClosed)
  }

  @Test mutating func readingIsResumedOnceAndOnlyOfOpenCalls() {
    state.begin()
    #expect(state.resumeReading() == false)
    state.pauseReading()
    state.pauseReading()
    #expect(state.resumeReading() == true)
    #expect(state.resumeReading() == false)
    state.pauseReading()
    _ = state.end()
    #expect(state.resumeReading() == false)
  }

  @Test mutating func aStalledCallIsInformedOrWaitsForRoom() {
    #expect(state.stall() == true)
    #expect(state.stall() == false)
    #expect(state.drain() == .tellService)
    #expect(state.stall() == true)
    #expect(state.awaitRoom() == true)
    #expect(state.awaitRoom() == false)
    #expect(state.drain() == .queueForRoom)
    state.takeRoom()
    #expect(!state.awaitsRoom && !state.isStalled)
  }
}

@Suite struct ConnectionEndingTests {
  private var ending = ConnectionEnding()

  @Test mutating func aDrainHasTwoSteps() {
    #expect(ending.finishDrain() == false)
    #expect(ending.announceDrain() == true)
    #expect(ending.announceDrain() == false)
    #expect(ending.isDraining && !ending.refusesStreams)
    #expect(ending.finishDrain() == true)
    #expect(ending.finishDrain() == false)
    #expect(ending.refusesStreams && ending.isOpen)
  }

  @Test mutating func theFirstReasonCounts() {
    #expect(ending.decide() == true)
    #expect(ending.decide() == false)
    var gone = ConnectionEnding()
    _ = gone.leave()
    #expect(gone.decide() == false)
  }

  @Test mutating func ourSideIsClosedBeforeTheSocket() {
    #expect(ending.wroteAll() == .nothing)
    ending.finish()
    #expect(!ending.isOpen && !ending.reads && ending.hasLastWords)
    #expect(ending.wroteAll() == .closeSide)
    #expect(ending.isLingering && ending.reads && !ending.hasLastWords)
    #expect(ending.wroteAll() == .nothing)
    #expect(ending.inputClosed() == .closeSocket)
    #expect(ending.leave() == true)
    #expect(ending.leave() == false)
    #expect(ending.inputClosed() == .nothing)
  }

  @Test
  mutating func aClientThatHasClosedItsSideGetsItsRepliesAndThenTheSocketIsClosed() {
    #expect(ending.inputClosed() == .completeTheRest)
    #expect(ending.isOpen)
    ending.finish()
    #expect(ending.inputClosed() == .nothing)
    #expect(ending.wroteAll() == .closeSocket)
  }

  @Test mutating func whatComesAfterTheEndIsBounded() {
    #expect(ending.discard(ServerConfiguration.lingerBytesMax) == false)
    #expect(ending.discard(1) == true)
  }
}

@Suite struct FlushStateTests {
  private var state = FlushState()

  @Test mutating func aFlushIsRequestedOnceNothingElseLeadsToOne() {
    #expect(state.queued() == true)
    state.beginRead()
    #expect(state.queued() == false)
    state.endRead()
    #expect(state.queued() == true)
  }

  @Test mutating func whatIsQueuedAfterAFlushsWriteNeedsAnotherOne() {
    state.beginFlush()
    #expect(state.queued() == false)
    state.beginWrite()
    #expect(state.endFlush() == false)
    state.beginFlush()
    state.beginWrite()
    #expect(state.queued() == false)
    #expect(state.queued() == false)
    #expect(state.endFlush() == true)
    #expect(state.queued() == true)
  }
}

@Suite struct ReadGateTests {
  private var gate = ReadGate()

  @Test mutating func aReadThatWasKeptBackIsMadeUpFor() {
    #expect(gate.read(isBlocked: false) == true)
    #expect(gate.makeUp(isBlocked: false) == false)
    #expect(gate.read(isBlocked: true) == false)
    #expect(gate.isShut && gate.isHeldBack)
    #expect(gate.makeUp(isBlocked: true) == false)
    #expect(gate.makeUp(isBlocked: false) == true)
    #expect(!gate.isShut)
    #expect(gate.makeUp(isBlocked: false) == false)
  }

  @Test mutating func eachPauseNeedsItsResume() {
    gate.pause()
    gate.pause()
    #expect(gate.isShut && !gate.isHeldBack)
    #expect(gate.read(isBlocked: false) == false)
    gate.resume()
    #expect(gate.makeUp(isBlocked: false) == false)
    gate.resume()
    #expect(gate.makeUp(isBlocked: false) == true)
    gate.resume()
    gate.pause()
    #expect(gate.isShut)
  }
}

// What a call carries is copied for every call, so its size is looked after.

import Commands
import Testing

@Suite struct CallContextTests {
  @Test func theSpanOfATracedCallHasItsPlaceInWhatWasPadding() {
    #expect(MemoryLayout<CallContext>.size == 48)
    #expect(CallContext().span == 0)
  }
}

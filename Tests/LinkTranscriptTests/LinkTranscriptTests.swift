// Links as transcripts: a router's real core, and the real cores and sessions of shards, with a
// network that the transcript controls. Its commands: LinkWorld.

import Testing

@Suite struct LinkTranscriptTests {
  @Test(arguments: try Transcript.names())
  func aLinkLivesAsItsTranscriptSays(name: String) throws {
    let transcript = try Transcript(name)
    #expect(!transcript.steps.isEmpty)
    let world = LinkWorld()
    var outputs: [[String]] = []
    for step in transcript.steps {
      let output = try step.commands.flatMap(world.run)
      outputs.append(output)
      guard !Transcript.isRewriting else { continue }
      try #require(
        output == step.expected,
        """
        \(name): \(step.commands.joined(separator: ", "))
        resulted in
        \(output.joined(separator: "\n"))
        instead of
        \(step.expected.joined(separator: "\n"))
        """)
    }
    if Transcript.isRewriting { try transcript.write(outputs) }
  }

}

// The flag of `cli`, `admin` and `health` for the caller's token.

import ArgumentParser
import RingstoreClient

struct TokenOption: ParsableArguments {
  @Option(
    help: """
      A file with the user's token. (default: the token in RINGSTORE_TOKEN, or none)
      """)
  var tokenFile: String?

  func read() throws(ConfigurationError) -> String? {
    try TokenText.of(path: tokenFile, environment: ProcessState.environment())
  }

  /// The configuration of a client with the token.
  func clientConfiguration() throws(ConfigurationError) -> RingstoreClient.Configuration {
    var configuration = RingstoreClient.Configuration()
    configuration.token = try read()
    return configuration
  }
}

// The only place with the version: `ringstore --version` prints it, and every node reports it in
// Describe.

package enum RingstoreVersion {
  package static let current = "0.1.0"
}

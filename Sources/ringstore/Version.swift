// The one place that says which version this is: `ringstore --version` prints it, and every node
// reports it in Describe.

package enum RingstoreVersion {
  package static let current = "0.1.0"
}

// Keeps other web pages away from what the admin port shows beyond figures and probes: settings,
// slow calls, the dashboard's data. A browser sends what a page of anybody asks for, to any address
// that it reaches; that the page can't read the answer is the browser's rule, and there is a way
// around it: a name of the attacker's that suddenly stands for 127.0.0.1 (DNS rebinding). A node
// with users asks for a token, which such a page doesn't have; one without looks at the name by
// which it was asked. Pure.

import RingstoreAPI

package enum ViewerGuard {
  /// - Throws: PERMISSION_DENIED.
  package static func check(_ request: AdminRequest) throws(CallError) {
    // Browsers say where a request comes from, and no page can change what they say.
    if let site = request.fetchSite, site != "same-origin", site != "none" {
      throw CallError(
        .permissionDenied, "Pages of other sites may not request this.")
    }
    // With TLS another name doesn't pass the browser's check of the certificate.
    guard request.user == nil, !request.isEncrypted else { return }
    guard let host = request.host, isHostOfAnAddress(host) else {
      throw CallError(
        .permissionDenied,
        "A node without users shows this only for an IP address, localhost or a name without "
          + "dots: another name may belong to another site. Give the node users, or TLS.")
    }
  }

  /// Whether a Host field has an address, or a name that can't be registered.
  static func isHostOfAnAddress(_ host: String) -> Bool {
    // An IPv6 address is in brackets.
    if host.hasPrefix("[") { return true }
    let name = host.prefix { $0 != ":" }
    guard !name.isEmpty else { return false }
    if !name.contains(".") || name.hasSuffix(".localhost") { return true }
    let numbers = name.split(separator: ".", omittingEmptySubsequences: false)
    return numbers.count == 4 && numbers.allSatisfy { UInt8($0) != nil }
  }
}

// Keeps other web pages away from the dashboard's data. A browser sends the requests of any web
// page to any address that it can reach. The browser prevents that the page reads the reply, but
// there is a way around that: the attacker's host name is changed to resolve to 127.0.0.1 (DNS
// rebinding). A node with users requires a token, which such a page doesn't have; a node without
// users checks the host name in the request. Pure.

import Admin
import RingstoreAPI

enum ViewerGuard {
  /// - Throws: PERMISSION_DENIED.
  static func check(_ request: AdminRequest) throws(CallError) {
    // Browsers send the origin of a request, and no page can change it.
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

// Refuses requests of other sites' pages, except for what is open to all. A browser sends such
// requests to any address that it can reach. Its same-origin policy hides the response, but DNS
// rebinding avoids that: the attacker's name resolves to 127.0.0.1. Such a page has no token and no
// certificate, so for a request without credentials the name in its Host field is checked. Pure.

import RingstoreAPI

enum ViewerGuard {
  /// - Throws: PERMISSION_DENIED.
  static func check(_ request: AdminRequest) throws(CallError) {
    // Browsers say where a request comes from, and no page can change what they say.
    if let site = request.fetchSite, site != "same-origin", site != "none" {
      throw CallError(
        .permissionDenied, "Pages of other sites may not request this.")
    }
    // With TLS another name doesn't pass the browser's check of the certificate.
    guard !request.hasCredential, !request.isEncrypted else { return }
    guard let host = request.host, HostField(host)?.isOfAnAddress == true else {
      throw CallError(
        .permissionDenied,
        "Without a token this is shown only for an IP address, localhost or a name without "
          + "dots: another name may belong to another site. Use a token, or TLS.")
    }
  }
}

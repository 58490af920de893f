// Keeps pages of other sites away from what the admin port shows, but for what is open to all. A
// browser sends what a page of anybody asks for, to any address that it reaches; that the page
// can't read the answer is the browser's rule, and there is a way around it: a name of the
// attacker's that suddenly stands for 127.0.0.1 (DNS rebinding). Such a page has no token and no
// certificate; of a request without any, the name by which the port was asked is looked at. Pure.

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

// A certificate's names as the users file names them.

import GRPC
import Users

extension PeerIdentity.Name {
  package var certificateName: CertificateName {
    switch self {
    // DNS names have no case.
    case .dns(let name): .dns(name.lowercased())
    case .uri(let name): .uri(name)
    }
  }
}

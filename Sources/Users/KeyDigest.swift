// Replaces a key where keys must not be shown: the beginning of its SHA-256. If you have a key, you
// can compare it (`printf %s KEY | sha256sum`); a key that is hard to guess stays unknown. A pure
// function; any thread.

import Crypto
import TextForms

package enum KeyDigest {
  /// Bytes of the digest that are shown: two different keys hardly ever share them.
  private static let byteCount = 8

  /// 16 hexadecimal digits. O(bytes).
  package static func text(_ key: UnsafeRawBufferPointer) -> String {
    Hexadecimal.text(Array(SHA256.hash(data: key).prefix(byteCount)))
  }
}

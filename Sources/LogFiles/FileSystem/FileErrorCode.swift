// The error numbers that the log distinguishes, and their texts. Any thread.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

package enum FileErrorCode {
  package static let noSpace = ENOSPC
  package static let overQuota = EDQUOT
  package static let noEntry = ENOENT
  package static let exists = EEXIST
  package static let inputOutput = EIO
  package static let readOnly = EROFS
  package static let noPermission = EACCES
  package static let noDirectory = ENOTDIR
  package static let noDevice = ENODEV
  package static let badHandle = EBADF
  package static let isDirectory = EISDIR

  /// The system's sentence for a number, with the number.
  package static func text(of code: Int32) -> String {
    // glibc has kept this text per thread since 2.32.
    guard let text = strerror(code) else { return "error \(code)" }
    return "\(String(cString: text)) (error \(code))"
  }
}

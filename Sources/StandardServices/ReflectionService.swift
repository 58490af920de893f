// grpc.reflection.v1, and v1alpha with the same messages under the older name: the services of the
// node, for tools that have no .proto files. One reply to each request, in order. On the node's
// event loop; keeps nothing.

import GRPC
import NIOCore
import RingstoreAPI

struct ReflectionService {
  private typealias Request = GRPCReflection.ServerReflectionRequest
  private typealias Response = GRPCReflection.ServerReflectionResponse

  /// The field that a request sets. Of several the last one counts, as in every oneof.
  private enum Question {
    case fileByName(String)
    case fileDefining(String)
    case fileExtending(String, Int32)
    case extensionNumbers(String)
    case services
  }

  /// The full names of the services.
  let services: [String]
  private var index: ProtoIndex { .shared }

  init(services: [String]) {
    self.services = services
  }

  func reply(_ call: ServerCall, _ request: UnsafeRawBufferPointer) throws(WireError) {
    let host = try MessageFields.bytes(Request.Field.host, in: request)
    let question = try Self.question(of: request)
    call.send { buffer in
      buffer.write(Response.Field.validHost, host)
      buffer.append(Response.Field.originalRequest, request)
      write(question, to: &buffer)
    }
    if !call.isWritable { call.pauseReading() }
  }

  private static func question(
    of request: UnsafeRawBufferPointer
  ) throws(WireError) -> Question? {
    typealias Field = Request.Field
    var reader = WireReader(request)
    var question: Question?
    while let tag = try reader.nextTag() {
      switch tag {
      case .bytes(Field.fileByFilename.number):
        question = .fileByName(try reader.readName())
      case .bytes(Field.fileContainingSymbol.number):
        question = .fileDefining(try reader.readName())
      case .bytes(Field.fileContainingExtension.number):
        let one = try reader.readBytes()
        typealias Part = GRPCReflection.ExtensionRequest.Field
        let type = try MessageFields.bytes(Part.containingType, in: one)
        let number = try MessageFields.number(Part.extensionNumber, in: one)
        question = .fileExtending(
          String(decoding: type, as: UTF8.self), Int32(truncatingIfNeeded: number))
      case .bytes(Field.allExtensionNumbersOfType.number):
        question = .extensionNumbers(try reader.readName())
      case .bytes(Field.listServices.number):
        _ = try reader.readBytes()
        question = .services
      default: try reader.skip(tag)
      }
    }
    return question
  }

  private func write(_ question: Question?, to buffer: inout ByteBuffer) {
    switch question {
    case .fileByName(let name):
      write(file: index.file(named: name), orMissing: "file \(Self.short(name))", to: &buffer)
    case .fileDefining(let symbol):
      write(file: index.file(defining: symbol), orMissing: String(Self.short(symbol)), to: &buffer)
    case .fileExtending(let type, let number):
      write(
        file: index.file(extending: type, number: number),
        orMissing: "extension \(number) of \(Self.short(type))", to: &buffer)
    case .extensionNumbers(let type):
      write(extensionsOf: type, to: &buffer)
    case .services:
      writeServices(to: &buffer)
    case nil:
      write(RPCStatus(.invalidArgument, "the request is empty"), to: &buffer)
    }
  }

  private func write(file: Int?, orMissing what: String, to buffer: inout ByteBuffer) {
    guard let file else {
      return write(RPCStatus(.notFound, "\(what) not found"), to: &buffer)
    }
    let mark = buffer.beginLengthDelimited(Response.Field.fileDescriptorResponse)
    for descriptor in index.descriptors(of: file) {
      descriptor.withUnsafeBytes {
        buffer.append(GRPCReflection.FileDescriptorResponse.Field.fileDescriptorProto, $0)
      }
    }
    buffer.endLengthDelimited(mark)
  }

  private func write(extensionsOf type: String, to buffer: inout ByteBuffer) {
    typealias Field = GRPCReflection.ExtensionNumberResponse.Field
    guard let numbers = index.extensionNumbers(of: type) else {
      return write(
        RPCStatus(.notFound, "message \(Self.short(type)) not found"), to: &buffer)
    }
    let mark = buffer.beginLengthDelimited(Response.Field.allExtensionNumbersResponse)
    buffer.write(Field.baseTypeName, type)
    for number in numbers { buffer.write(Field.extensionNumber, Int64(number)) }
    buffer.endLengthDelimited(mark)
  }

  private func writeServices(to buffer: inout ByteBuffer) {
    let mark = buffer.beginLengthDelimited(Response.Field.listServicesResponse)
    for service in services {
      let one = buffer.beginLengthDelimited(GRPCReflection.ListServiceResponse.Field.service)
      buffer.write(GRPCReflection.ServiceResponse.Field.name, service)
      buffer.endLengthDelimited(one)
    }
    buffer.endLengthDelimited(mark)
  }

  private func write(_ error: RPCStatus, to buffer: inout ByteBuffer) {
    typealias Field = GRPCReflection.ErrorResponse.Field
    let mark = buffer.beginLengthDelimited(Response.Field.errorResponse)
    buffer.write(Field.errorCode, Int64(error.code.rawValue))
    buffer.write(Field.errorMessage, error.message)
    buffer.endLengthDelimited(mark)
  }

  /// Names from a peer in our messages.
  private static func short(_ name: String) -> Substring { name.prefix(256) }
}

extension WireReader {
  fileprivate mutating func readName() throws(WireError) -> String {
    String(decoding: try readBytes(), as: UTF8.self)
  }
}

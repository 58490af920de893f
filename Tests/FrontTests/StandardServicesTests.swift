// What the standard services say of a node's services is what the node serves.

import Commands
import Front
import GRPC
import RingstoreAPI
import Testing

@testable import StandardServices

@Suite struct StandardServicesTests {
  private func method(_ path: String, servesLink: Bool) -> ServerMethod? {
    var path = path
    return path.withUTF8 {
      MethodRegistry.method(path: UnsafeRawBufferPointer($0), servesLink: servesLink)
    }
  }

  @Test(arguments: [true, false])
  func everyCallOfEveryListedServiceIsServed(servesLink: Bool) {
    let symbols = ProtoFile.all.flatMap(\.symbols)
    for service in ServedServices.all(servesLink: servesLink) {
      let calls = symbols.filter { $0.hasPrefix(service + ".") }
      #expect(!calls.isEmpty, "\(service) has no calls")
      for call in calls {
        let path = "/\(service)/\(call.dropFirst(service.count + 1))"
        #expect(method(path, servesLink: servesLink) != nil, "\(path) is not served")
      }
    }
  }

  @Test func everyServiceOfOurFilesIsListed() {
    let index = ProtoIndex.shared
    let services = Set(ServedServices.all(servesLink: true))
    // What has calls is a service: a name whose last part is again defined below it, and that is
    // no message.
    for command in CommandTable.all {
      #expect(services.contains(command.rpc.service))
      #expect(index.file(defining: command.rpc.service) != nil)
    }
    for method in StandardMethod.allCases {
      let service = method.path.split(separator: "/")[0]
      #expect(services.contains(String(service)))
    }
    #expect(!Set(ServedServices.all(servesLink: false)).contains(LinkV1.Link.name))
  }

  @Test func everyDescriptorIsWholeAndComesWithItsImports() {
    let index = ProtoIndex.shared
    for file in ProtoFile.all {
      let found = index.file(named: file.name)
      #expect(found != nil)
      guard let found else { continue }
      let descriptors = index.descriptors(of: found)
      #expect(descriptors.count > file.imports.count)
      for descriptor in descriptors { #expect(!descriptor.isEmpty) }
      for symbol in file.symbols { #expect(index.file(defining: String(symbol)) == found) }
    }
    #expect(index.file(named: "no/such.proto") == nil)
    #expect(index.file(defining: "") == nil)
    #expect(index.extensionNumbers(of: "ringstore.v1.KeyValue") == [])
    #expect(index.extensionNumbers(of: "ringstore.v1.KeyStore") == nil, "a service is no message")
    #expect(index.file(extending: "ringstore.v1.KeyValue", number: 7) == nil)
  }

  @Test func onlyHealthAndReflectionAreOpenToAll() {
    let open = StandardMethod.allCases.filter(\.isOpenToAll)
    #expect(
      open == [.healthCheck, .healthList, .healthWatch, .reflection, .reflectionAlpha])
    for method in StandardMethod.allCases { #expect(StandardMethod.contains(method.rawValue)) }
    #expect(!StandardMethod.contains(CallNumbers.link))
  }

  @Test func healthAndChannelzAreServedFromTheReserve() {
    for each in StandardMethod.allCases {
      let isReflection = each == .reflection || each == .reflectionAlpha
      #expect(method(each.path, servesLink: false)?.isReserved == !isReflection)
    }
  }
}

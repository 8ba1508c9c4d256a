import LinuxSystem

/// A descriptor that classes and closures hold together; the last closes it.
final class SharedDescriptor: Sendable {
    private let descriptor: Descriptor
    var raw: Int32 { descriptor.raw }
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}

import LinuxSystem

/// A file or directory that is open as long as somebody holds this.
final class HeldDescriptor: Sendable {
    private let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    var raw: Int32 { descriptor.raw }
}

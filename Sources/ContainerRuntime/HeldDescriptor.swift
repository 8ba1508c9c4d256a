import LinuxSystem

/// A descriptor that several values share; closed with the last of them.
final class HeldDescriptor {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}

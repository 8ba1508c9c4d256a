/// A set of descriptors that are waited for together (epoll(7)), level-triggered.
public struct Epoll: ~Copyable, Sendable {
    private let descriptor: Descriptor

    public struct Events: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let readable = Events(rawValue: 0x001)
        public static let writable = Events(rawValue: 0x004)
        /// Reported whether asked for or not.
        public static let error = Events(rawValue: 0x008)
        /// Reported whether asked for or not.
        public static let hangUp = Events(rawValue: 0x010)
    }

    public init() throws(SystemError) {
        descriptor = Descriptor(owning: try retrying("epoll_create1") { epoll_create1(Int32(O_CLOEXEC)) })
    }

    /// - Parameter tag: what `wait` answers for this descriptor.
    public func add(_ fd: Int32, _ events: Events, tag: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_ADD, fd, events, tag)
    }

    public func modify(_ fd: Int32, _ events: Events, tag: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_MOD, fd, events, tag)
    }

    public func remove(_ fd: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, fd, [], 0)
    }

    private func control(
        _ operation: Int32, _ fd: Int32, _ events: Events, _ tag: UInt64
    ) throws(SystemError) {
        var event = epoll_event()
        event.events = events.rawValue
        event.data.u64 = tag
        let raw = descriptor.raw
        _ = try retrying("epoll_ctl", "descriptor \(fd)") { epoll_ctl(raw, operation, fd, &event) }
    }

    /// Waits and calls `handle` for each descriptor that is ready.
    /// - Parameter milliseconds: the longest wait; -1 has no end.
    /// - Returns: how many were ready; 0 after the time-out or a signal.
    public func wait(
        milliseconds: Int32, _ handle: (_ tag: UInt64, _ events: Events) -> Void
    ) throws(SystemError) -> Int {
        let raw = descriptor.raw
        return try withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 32) {
            events throws(SystemError) in
            let count = epoll_wait(raw, events.baseAddress, 32, milliseconds)
            return try Self.tell(events, count, handle)
        }
    }

    /// As `wait` without a time-out, but first gives back the pages of this
    /// program's file that can be had from the file again (`ProgramPages`).
    public func waitLightly(
        _ pages: borrowing ProgramPages, _ handle: (_ tag: UInt64, _ events: Events) -> Void
    ) throws(SystemError) -> Int {
        let raw = descriptor.raw
        return try withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 32) {
            events throws(SystemError) in
            let count = linux_drop_pages_and_wait(
                pages.segments, UInt32(pages.segments.count), pages.map, pages.size, raw, events.baseAddress,
                32)
            return try Self.tell(events, count, handle)
        }
    }

    private static func tell(
        _ events: UnsafeMutableBufferPointer<epoll_event>, _ count: Int32,
        _ handle: (_ tag: UInt64, _ events: Events) -> Void
    ) throws(SystemError) -> Int {
        if count < 0 {
            let errno = Errno.current
            if errno == .interrupted { return 0 }
            throw SystemError("epoll_wait", "", errno)
        }
        for event in events[..<Int(count)] { handle(event.data.u64, Events(rawValue: event.events)) }
        return Int(count)
    }
}

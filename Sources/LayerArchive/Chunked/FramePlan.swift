/// Where each part of a blob comes from: those frames that are here, from here, and the rest from
/// where the blob is.
public struct FramePlan: Sendable, Equatable {
    public struct Place: Sendable, Equatable {
        /// The number of a source, which only the caller knows.
        public var source: Int
        public var offset: Int64

        public init(source: Int, offset: Int64) {
            self.source = source
            self.offset = offset
        }
    }

    public struct Part: Sendable, Equatable {
        /// In the blob.
        public var offset: Int64
        public var length: Int64
        /// nil for what must be fetched.
        public var place: Place?
    }

    /// In order, without gaps: all of the blob's frames.
    public private(set) var parts: [Part] = []
    /// How many of the parts must be fetched.
    public private(set) var fetches = 0
    /// Their length together.
    public private(set) var fetchedBytes: Int64 = 0

    /// - Parameters:
    ///   - bridge: what is here and no longer than this, between two parts that must be fetched, is
    ///     fetched with them: a request more would cost more.
    ///   - find: where a frame is here.
    public init(_ frames: [ChunkedFrame], bridge: Int64, find: (ChunkedFrame.Key) -> Place?) {
        // What came after the last part that must be fetched.
        var here: [Part] = []
        var hereLength: Int64 = 0
        for frame in frames {
            let place = find(frame.key)
            let part = Part(offset: frame.offset, length: frame.length, place: place)
            if let place {
                hereLength += part.length
                if let last = here.last, let before = last.place, before.source == place.source,
                    before.offset + last.length == place.offset
                {
                    here[here.count - 1].length += part.length
                } else {
                    here.append(part)
                }
                continue
            }
            fetchedBytes += part.length
            if fetches > 0, hereLength <= bridge {
                parts[parts.count - 1].length += hereLength + part.length
                fetchedBytes += hereLength
            } else {
                parts += here
                parts.append(part)
                fetches += 1
            }
            here = []
            hereLength = 0
        }
        parts += here
    }
}

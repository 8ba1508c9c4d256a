/// Moments as text: RFC 3339 in UTC with up to nine digits of a second.
extension Timestamp: CustomStringConvertible {
    public static var now: Timestamp {
        var time = Glibc.timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(time)
    }

    /// As Go's RFC3339Nano: the fraction has no zeros at its end.
    public var description: String { text(fullFraction: false) }

    public func text(fullFraction: Bool) -> String {
        withUnsafeTemporaryAllocation(byteCount: 40, alignment: 1) { buffer in
            let count = write(
                to: buffer.baseAddress!.assumingMemoryBound(to: UInt8.self), fullFraction: fullFraction)
            return String(decoding: UnsafeRawBufferPointer(buffer)[..<count], as: UTF8.self)
        }
    }

    /// Writes at most 35 bytes.
    public func write(to output: UnsafeMutablePointer<UInt8>, fullFraction: Bool) -> Int {
        let days = seconds >= 0 ? seconds / 86400 : -((86399 - seconds) / 86400)
        let second = Int(seconds - days * 86400)
        let date = Self.date(ofDay: days)
        var position = 0
        func put(_ value: Int, _ digits: Int) {
            var value = value
            for place in stride(from: position + digits - 1, through: position, by: -1) {
                output[place] = UInt8(ascii: "0") + UInt8(value % 10)
                value /= 10
            }
            position += digits
        }
        func put(_ character: Unicode.Scalar) {
            output[position] = UInt8(ascii: character)
            position += 1
        }
        put(min(max(date.year, 0), 9999), 4)
        put("-")
        put(date.month, 2)
        put("-")
        put(date.day, 2)
        put("T")
        put(second / 3600, 2)
        put(":")
        put(second / 60 % 60, 2)
        put(":")
        put(second % 60, 2)
        if fullFraction || nanoseconds != 0 {
            put(".")
            put(Int(nanoseconds), 9)
            if !fullFraction {
                while output[position - 1] == UInt8(ascii: "0") { position -= 1 }
            }
        }
        put("Z")
        return position
    }

    /// The Gregorian date of a day since 1970-01-01: whole 400-year cycles of
    /// 146,097 days, with years that begin in March so that the leap day is last.
    private static func date(ofDay day: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(day) + 719_468
        let cycle = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfCycle = shifted - cycle * 146_097
        let yearOfCycle =
            (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let march = (5 * dayOfYear + 2) / 153
        let month = march < 10 ? march + 3 : march - 9
        return (
            yearOfCycle + cycle * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * march + 2) / 5 + 1
        )
    }

    private static func day(year: Int, month: Int, day: Int) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let cycle = (year >= 0 ? year : year - 399) / 400
        let yearOfCycle = year - cycle * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfCycle = yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear
        return Int64(cycle * 146_097 + dayOfCycle - 719_468)
    }

    /// Reads RFC 3339 with any fraction and offset.
    public init?(parsing text: String) {
        var text = text
        guard let value = text.withUTF8({ Timestamp(parsing: UnsafeRawBufferPointer($0)) }) else {
            return nil
        }
        self = value
    }

    public init?(parsing bytes: UnsafeRawBufferPointer) {
        var position = 0
        func number(_ digits: Int) -> Int? {
            guard position + digits <= bytes.count else { return nil }
            var value = 0
            for _ in 0..<digits {
                let digit = Int(bytes[position]) - 0x30
                guard (0...9).contains(digit) else { return nil }
                value = value * 10 + digit
                position += 1
            }
            return value
        }
        func skip(_ character: Unicode.Scalar) -> Bool {
            guard position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: character) | 0x20 else {
                return false
            }
            position += 1
            return true
        }
        guard let year = number(4), skip("-"), let month = number(2), skip("-"), let day = number(2),
            skip("T"), let hour = number(2), skip(":"), let minute = number(2), skip(":"),
            let second = number(2), (1...12).contains(month), (1...31).contains(day), hour < 24,
            minute < 60, second < 61
        else { return nil }
        var fraction = 0
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            var scale = 100_000_000
            let start = position
            while position < bytes.count, case let digit = Int(bytes[position]) - 0x30,
                (0...9).contains(digit)
            {
                fraction += digit * scale
                scale /= 10
                position += 1
            }
            guard position > start else { return nil }
        }
        var offset = 0
        if !skip("Z") {
            guard position < bytes.count else { return nil }
            let sign = bytes[position]
            guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return nil }
            position += 1
            guard let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -60 : 60)
        }
        guard position == bytes.count else { return nil }
        seconds =
            Self.day(year: year, month: month, day: day) * 86400
            + Int64(hour * 3600 + minute * 60 + second - offset)
        nanoseconds = Int32(fraction)
    }
}

import ContainerImage
import JSONText
import LayerArchive
import LinuxSystem
import Synchronization

/// A transfer's progress, usually on standard error: a bar a layer on a terminal, a
/// line a layer elsewhere, nothing when quiet.
final class TransferDisplay: TransferProgress {
    private enum Style { case bars, lines, silent }
    private struct State {
        var order: [Digest] = []
        var layers: [Digest: LayerProgress] = [:]
        var drawn = 0
        var lastDraw: Int64 = 0
    }

    private let style: Style
    private let descriptor: Int32
    private let state = Mutex(State())

    init(quiet: Bool, to descriptor: Int32 = STDERR_FILENO) {
        self.descriptor = descriptor
        style = quiet ? .silent : isatty(descriptor) == 1 ? .bars : .lines
    }

    func resolving(_ reference: String) { line("Trying to pull \(reference)...") }

    func note(_ text: String) { line(text) }

    func warning(_ text: String) {
        if style != .silent { Output.warn(text) }
    }

    func layer(_ digest: Digest, _ progress: LayerProgress) {
        guard style != .silent else { return }
        state.withLock { state in
            if state.layers.updateValue(progress, forKey: digest) == nil { state.order.append(digest) }
            if style == .lines {
                switch progress {
                case .done: write("Copying blob \(short(digest)) done\n")
                case .assembled(let fetched, let size):
                    write("Copying blob \(short(digest)) done\(Self.parts(fetched, of: size))\n")
                case .reused: write("Copying blob \(short(digest)) skipped: already exists\n")
                default: break
                }
                return
            }
            let now = Self.milliseconds()
            if case .downloading = progress, now - state.lastDraw < 50 { return }
            state.lastDraw = now
            draw(&state)
        }
    }

    private func line(_ text: String) {
        guard style != .silent else { return }
        state.withLock { state in
            // What comes after a line does not draw over it.
            state.drawn = 0
            write(text.printable() + "\n")
        }
    }

    /// Draws all bars over those drawn before.
    private func draw(_ state: inout State) {
        var size = winsize()
        let columns =
            ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
        let rows = max(1, Int(size.ws_row) - 1)
        var text = state.drawn > 0 ? "\u{1B}[\(state.drawn)A" : ""
        // More layers than lines: those that are at work are worth showing.
        var shown = state.order
        if shown.count > rows {
            shown = Array(
                shown.filter { if case .downloading = state.layers[$0] { true } else { false } }.prefix(rows))
        }
        for digest in shown {
            text += "\r\u{1B}[K" + bar(digest, state.layers[digest]!, columns: columns) + "\n"
        }
        if shown.count < state.drawn { text += "\u{1B}[J" }
        state.drawn = shown.count
        write(text)
    }

    private func bar(_ digest: Digest, _ progress: LayerProgress, columns: Int) -> String {
        let head = "Copying blob \(short(digest)) "
        let tail: String
        var fraction = 0.0
        switch progress {
        case .waiting(let size): tail = size >= 0 ? " 0.0B / \(Human.size(size))" : " waiting"
        case .downloading(let done, let size):
            fraction = size > 0 ? min(1, Double(done) / Double(size)) : 0
            tail = " \(Human.size(done)) / \(size >= 0 ? Human.size(size) : "?")"
        case .done: return head + "done"
        case .assembled(let fetched, let size): return head + "done" + Self.parts(fetched, of: size)
        case .reused: return head + "skipped: already exists"
        case .failed: return head + "failed"
        }
        let width = min(40, columns - head.count - tail.count - 3)
        guard width > 3 else { return head + tail }
        let filled = Int(Double(width) * fraction)
        return head + "[" + String(repeating: "=", count: filled) + (filled < width ? ">" : "")
            + String(repeating: "-", count: max(0, width - filled - 1)) + "]" + tail
    }

    /// In podman's words, for what was not fetched because it is here.
    private static func parts(_ fetched: Int64, of size: Int64) -> String {
        let skipped = max(0, size - fetched)
        let percent = size > 0 ? skipped * 100 / size : 0
        return
            " | \(Human.size(fetched)) / \(Human.size(size)) (skipped: \(Human.size(skipped)) = \(percent)%)"
    }

    private func short(_ digest: Digest) -> String { String(digest.hex.prefix(12)) }

    private func write(_ text: String) { try? FD.writeAll(descriptor, text) }

    private static func milliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

import LinuxSystem

/// The target that `scripts/fuzz` named.
private let target: FuzzTarget = {
    guard let name = getenv("APUS_FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name))
    else {
        preconditionFailure("APUS_FUZZ_TARGET names no target")
    }
    return target
}()

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    target.run(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

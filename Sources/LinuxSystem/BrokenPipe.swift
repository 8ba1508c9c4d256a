/// Keeps SIGPIPE from a stretch of code that writes to pipes or sockets whose
/// readers may leave: its own write(2), or a library's. libcurl writes to TLS
/// connections through OpenSSL and, with CURLOPT_NOSIGNAL, which threads need,
/// leaves SIGPIPE to us (libcurl-thread(3)). The signal's action is the program's
/// own, so only this thread's mask changes.
public enum BrokenPipe {
    public static func shielded<Value>(_ body: () -> Value) -> Value {
        let before = block()
        let value = body()
        unblock(before)
        return value
    }

    /// write(2), whose error EPIPE comes without a signal.
    public static func write(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        shielded { Glibc.write(fd, bytes.baseAddress, bytes.count) }
    }

    private static func block() -> sigset_t {
        var pipe = SignalMask.set(of: [SIGPIPE])
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &pipe, &before)
        return before
    }

    private static func unblock(_ before: sigset_t) {
        var before = before
        if sigismember(&before, SIGPIPE) == 0 {
            // Takes one that came in between; it was for this thread alone.
            let error = errno
            var pipe = SignalMask.set(of: [SIGPIPE])
            var none = timespec()
            while sigtimedwait(&pipe, nil, &none) == -1, Errno.current == .interrupted {}
            pthread_sigmask(SIG_SETMASK, &before, nil)
            errno = error
        }
    }
}

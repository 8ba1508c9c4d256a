internal import LinuxSystem

/// Keeps SIGPIPE from calls into libcurl. It writes to TLS connections through
/// OpenSSL, whose write(2) on one that the peer has closed would end the
/// program; with CURLOPT_NOSIGNAL, which threads need, libcurl leaves it to us
/// (libcurl-thread(3)). The signal's action is the program's own, so only this
/// thread's mask changes.
enum BrokenPipe {
    static func shielded<Value>(_ body: () -> Value) -> Value {
        var pipe = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &pipe, &before)
        let value = body()
        if sigismember(&before, SIGPIPE) == 0 {
            // Takes one that came in between; it was for this thread alone.
            var none = timespec()
            while sigtimedwait(&pipe, nil, &none) == -1, Errno.current == .interrupted {}
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        return value
    }
}

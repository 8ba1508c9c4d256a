import LinuxSystem

// The buffers of a layer's threads go back to the kernel with it (mallopt(3), M_MMAP_THRESHOLD); by
// itself malloc(3) would keep them, in as many heaps as there were threads.
_ = mallopt(-3, 128 << 10)
exit(Application.run(Array(CommandLine.arguments.dropFirst())))

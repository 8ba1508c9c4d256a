import LinuxSystem

exit(InitProcess.run(Array(CommandLine.arguments.dropFirst())))

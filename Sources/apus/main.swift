import LinuxSystem

exit(Application.run(Array(CommandLine.arguments.dropFirst())))

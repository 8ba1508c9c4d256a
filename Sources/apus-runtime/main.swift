import CommandGrammar
import ContainerRuntime
import LinuxSystem

StandardDescriptors.secure()
exit(RuntimeProgram.run(Array(CommandLine.arguments.dropFirst())))

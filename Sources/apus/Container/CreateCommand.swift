import CommandGrammar
import ContainerEngine
import ContainerStorage
import LayerArchive
import LinuxSystem

enum CreateCommand {
    static let command = Command(
        "create", usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]", summary: "Create a new container",
        arguments: .atLeast(1), interspersed: false, completing: .objects("images"),
        flags: { CreateFlags.flags() }, run: run)

    static func run(_ values: Values) throws -> Int32 {
        let spec = try CreateFlags.spec(values, isRun: false)
        let engine = try GlobalFlags.engine(values)
        Output.printLine(try create(spec, values, engine).id)
        return 0
    }

    static func create(_ spec: ContainerSpec, _ values: Values, _ engine: Engine) throws -> ContainerRecord {
        let cidfile = values.string("cidfile")
        if let cidfile, File.exists(cidfile) {
            throw EngineError(.conflict, "container ID file \(cidfile) exists: remove it, or name another")
        }
        if let name = values.string("name") { try ContainerName.validate(name) }
        var spec = spec
        let image = try PullCommand.imageForContainer(spec.image, values, engine)
        spec.imageID = image.id.description
        let record = try engine.create(spec, name: values.string("name"), image: image)
        if let cidfile {
            do {
                try File.replace(cidfile, with: Array(record.id.utf8), durable: false)
            } catch {
                try? engine.remove(record, force: true, volumes: true)
                throw error
            }
        }
        return record
    }
}

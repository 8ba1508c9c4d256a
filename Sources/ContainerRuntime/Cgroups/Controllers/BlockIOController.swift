internal import LinuxSystem
internal import OCISpec

/// Documentation/admin-guide/cgroup-v1/blkio-controller.rst; cgroup-v2.rst ("IO");
/// block/bfq-iosched.rst.
enum BlockIOController: CgroupController {
    static let legacyName = "blkio"
    static let unifiedName: String? = "io"

    static func isAsked(_ resources: LinuxResources) -> Bool {
        guard let io = resources.blockIO else { return false }
        return (io.weight ?? 0) != 0 || (io.leafWeight ?? 0) != 0 || !io.weightDevice.isEmpty
            || !io.throttleReadBpsDevice.isEmpty || !io.throttleWriteBpsDevice.isEmpty
            || !io.throttleReadIOPSDevice.isEmpty || !io.throttleWriteIOPSDevice.isEmpty
    }

    static func setLegacy(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let io = resources.blockIO else { return }
        // CFQ's files went with Linux 5.0; BFQ's say the same.
        let hasCFQ = group.has("blkio.weight")
        if let weight = io.weight, weight != 0 {
            try group.write(String(weight), to: hasCFQ ? "blkio.weight" : "blkio.bfq.weight")
        }
        if let weight = io.leafWeight, weight != 0 {
            try group.write(String(weight), to: "blkio.leaf_weight")
        }
        for device in io.weightDevice {
            let number = "\(device.major):\(device.minor)"
            if let weight = device.weight, weight != 0 {
                try group.write(
                    "\(number) \(weight)", to: hasCFQ ? "blkio.weight_device" : "blkio.bfq.weight_device")
            }
            if let weight = device.leafWeight, weight != 0 {
                try group.write("\(number) \(weight)", to: "blkio.leaf_weight_device")
            }
        }
        try group.write(lines(io.throttleReadBpsDevice, ""), to: "blkio.throttle.read_bps_device")
        try group.write(lines(io.throttleWriteBpsDevice, ""), to: "blkio.throttle.write_bps_device")
        try group.write(lines(io.throttleReadIOPSDevice, ""), to: "blkio.throttle.read_iops_device")
        try group.write(lines(io.throttleWriteIOPSDevice, ""), to: "blkio.throttle.write_iops_device")
    }

    static func setUnified(_ resources: LinuxResources, in group: CgroupDirectory) throws(CgroupError) {
        guard let io = resources.blockIO else { return }
        if (io.leafWeight ?? 0) != 0 || io.weightDevice.contains(where: { ($0.leafWeight ?? 0) != 0 }) {
            throw CgroupError(.invalid, "cgroup v2 has no leaf weights of block I/O")
        }
        let hasBFQ = group.has("io.bfq.weight")
        if let weight = io.weight, weight != 0 {
            if hasBFQ {
                try group.write(String(weight), to: "io.bfq.weight")
            } else {
                try group.write("default \(unified(weight: weight))", to: "io.weight")
            }
        }
        for device in io.weightDevice {
            guard let weight = device.weight, weight != 0 else { continue }
            let number = "\(device.major):\(device.minor)"
            if hasBFQ {
                try group.write("\(number) \(weight)", to: "io.bfq.weight")
            } else {
                try group.write("\(number) \(unified(weight: weight))", to: "io.weight")
            }
        }
        try group.write(
            lines(io.throttleReadBpsDevice, "rbps=") + lines(io.throttleWriteBpsDevice, "wbps=")
                + lines(io.throttleReadIOPSDevice, "riops=") + lines(io.throttleWriteIOPSDevice, "wiops="),
            to: "io.max")
    }

    /// A rate of 0 takes the limit away.
    private static func lines(_ devices: [LinuxResources.ThrottleDevice], _ key: String) -> [String] {
        devices.map { device in
            let rate = device.rate == 0 && !key.isEmpty ? "max" : String(device.rate)
            return "\(device.major):\(device.minor) \(key)\(rate)"
        }
    }

    /// 10 to 1,000, as 1 to 10,000.
    static func unified(weight: UInt16) -> UInt64 { 1 + (max(UInt64(weight), 10) - 10) * 9999 / 990 }
}

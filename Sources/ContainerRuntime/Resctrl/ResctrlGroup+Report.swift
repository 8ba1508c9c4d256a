import JSONText
import LinuxSystem

extension ResctrlGroup {
    /// What the group may use and uses, in the words of `runc events`.
    func report() -> JSON {
        let mount = ResctrlMount(path: root)
        let group = ResctrlMount(path: path)
        let lines = Self.lines(group.text("schemata"))
        let rootLines = Self.lines(mount.text("schemata"))
        var report = JSONObject()
        if mount.sharesCache {
            var info = JSONObject()
            info.set("cbm_mask", mount.text("info/L3/cbm_mask"))
            info.set("min_cbm_bits", mount.number("info/L3/min_cbm_bits"))
            info.set("num_closids", mount.number("info/L3/num_closids"))
            report["l3_cache_info"] = .object(info)
            report.set("l3_cache_schema_root", rootLines.last { $0.contains("L3") })
            report.set("l3_cache_schema", lines.last { $0.contains("L3") })
        }
        if mount.sharesBandwidth {
            var info = JSONObject()
            for name in ["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"] {
                info.set(name, mount.number("info/MB/\(name)"))
            }
            report["mem_bw_info"] = .object(info)
            report.set("mem_bw_schema_root", rootLines.last { $0.contains("MB") })
            report.set("mem_bw_schema", lines.last { $0.contains("MB") })
        }
        report.set("schemata", nonEmpty: lines)
        let features = Self.lines(mount.text("info/L3_MON/mon_features"))
        let bandwidth = features.filter { $0 == "mbm_total_bytes" || $0 == "mbm_local_bytes" }
        if !bandwidth.isEmpty { report["mbm_stats"] = counters(bandwidth) }
        if features.contains("llc_occupancy") { report["cmt_stats"] = counters(["llc_occupancy"]) }
        return .object(report)
    }

    /// The counters of each domain.
    private func counters(_ names: [String]) -> JSON {
        let directory = "\(monitoring ?? path)/mon_data"
        let domains = ((try? File.names(in: directory)) ?? []).sorted()
        return .array(
            domains.map { domain in
                let place = ResctrlMount(path: "\(directory)/\(domain)")
                var object = JSONObject()
                for name in names { object[name] = place.number(name)?.json ?? .integer(0) }
                return .object(object)
            })
    }

    private static func lines(_ text: String?) -> [String] {
        (text ?? "").split(separator: "\n").map { line in
            line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
    }
}

extension ResctrlMount {
    fileprivate func number(_ file: String) -> Int64? { text(file).flatMap { Int64($0) } }
}

/// Cells in aligned columns, as Docker lays them out (Go's tabwriter with a least width of 10
/// and three spaces between columns).
public struct Table: Sendable {
    public var padding: Int
    public var minimumWidth: Int
    public private(set) var rows: [[String]] = []

    public init(padding: Int = 3, minimumWidth: Int = 10) {
        self.padding = padding
        self.minimumWidth = minimumWidth
    }

    public mutating func append(_ row: [String]) { rows.append(row) }

    /// One line a row. A row's last cell is not padded.
    public var text: String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.dropLast().enumerated() {
                let width = max(minimumWidth, cell.unicodeScalars.count + padding)
                if column == widths.count {
                    widths.append(width)
                } else {
                    widths[column] = max(widths[column], width)
                }
            }
        }
        var text = ""
        for row in rows {
            for (column, cell) in row.enumerated() {
                text += cell
                if column < row.count - 1 {
                    text += String(repeating: " ", count: widths[column] - cell.unicodeScalars.count)
                }
            }
            text += "\n"
        }
        return text
    }
}

import LinuxSystem
import Synchronization

/// Slots that go round between two threads: one fills them in turn, the other
/// empties them in the same order.
///
///     while let slot = ring.vacant() { …fill…; ring.hand() }        // one thread
///     while true { let slot = ring.filled(); …empty…; ring.giveBack() }    // the other
///
/// What the filler wrote before `hand()` the emptier sees after `filled()`.
final class SlotRing<Slot: AnyObject>: @unchecked Sendable {
    private let slots: [Slot]
    private let vacancies: Semaphore
    private let arrivals = Semaphore(0)
    private var filling = 0
    private var emptying = 0
    private let closed = Atomic<Bool>(false)

    init(_ slots: [Slot]) {
        self.slots = slots
        vacancies = Semaphore(UInt32(slots.count))
    }

    /// The next slot to fill, once it is empty; nil when nobody will empty it.
    func vacant() -> Slot? {
        vacancies.lower()
        return closed.load(ordering: .acquiring) ? nil : slots[filling]
    }

    func hand() {
        filling = (filling + 1) % slots.count
        arrivals.raise()
    }

    /// The next slot that was filled.
    func filled() -> Slot {
        arrivals.lower()
        return slots[emptying]
    }

    func giveBack() {
        emptying = (emptying + 1) % slots.count
        vacancies.raise()
    }

    /// The emptier goes: the filler gets no more slots.
    func close() {
        closed.store(true, ordering: .releasing)
        vacancies.raise()
    }

    /// Waits until all that was handed is given back. The filler's; nothing can be filled after it.
    func settle() { for _ in slots { vacancies.lower() } }
}

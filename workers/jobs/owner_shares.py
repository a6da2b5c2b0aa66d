"""What each owner's jobs have of a worker, and may have of it while other owners are about."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from workers.jobs.running_job import ItemLimits, RunningJob, share
from workers.queue_client import Share

Amount = Callable[[RunningJob, int], int]  # what so many items of a job take


class OwnerShares:
    """An owner leaves a quarter of everything to others, as a job does, while there are others."""

    def __init__(self, limits: ItemLimits) -> None:
        self._limits = limits
        self.shared = False  # whether several owners have posted jobs of late

    def rows(self, run: RunningJob, items: int) -> int:
        return items * run.weight(self._limits.capacity)

    def taken(self, runs: Collection[RunningJob], total: int, amount: Amount) -> Mapping[str, int]:
        """What the jobs in flight have of a total, or will soon, by owner."""
        have, will = Counter[str](), Counter[str]()
        for run in runs:
            have[run.owner] += amount(run, len(run.active))
            will[run.owner] += amount(run, run.room(self._limits))
        if not self.shared:
            return will
        return {o: max(have[o], min(count, share(total))) for o, count in will.items()}

    def share_of_rows(self, runs: Collection[RunningJob]) -> Share:
        """The rows that each owner may still take of this worker."""
        most = share(self._limits.capacity)
        taken = self.taken(runs, self._limits.capacity, self.rows)
        return Share(most, {owner: most - rows for owner, rows in taken.items()})

    def share_of_model(
        self, runs: Collection[RunningJob], sha256: str, seats: int, item: int
    ) -> Share:
        """The items of a model, each of so many bytes, that each owner may still take."""
        memory, here = self._limits.memory, [r for r in runs if r.model.entry.sha256 == sha256]
        items = self.taken(here, seats, lambda run, count: count)
        sizes = self.taken(runs, memory, RunningJob.memory)
        left = {
            owner: min(share(seats) - items.get(owner, 0), (share(memory) - size) // item)
            for owner, size in sizes.items()
        }
        return Share(max(1, min(share(seats), share(memory) // item)), left)

    def may_begin(self, run: RunningJob, active: Collection[RunningJob]) -> bool:
        """Whether one more item of this job leaves to others what is theirs."""
        own = [other for other in active if other.owner == run.owner]
        if not self.shared or not own:
            return True
        seats = sum(len(other.active) for other in own if other.model is run.model)
        rows = sum(self.rows(other, len(other.active)) for other in own)
        size = sum(other.memory(len(other.active)) for other in own)
        return (
            seats < share(run.model.family.max_items)
            and rows + self.rows(run, 1) <= share(self._limits.capacity)
            and size + run.memory(1) <= share(self._limits.memory)
        )

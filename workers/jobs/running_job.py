"""One job in flight: what it asks for, and how far its items are."""

from dataclasses import dataclass, field
from typing import Any

from models.artifacts import Image, values_of
from models.engine.flow import NOTHING, Flow, Inputs
from models.engine.noise import seeded
from models.families import FAMILIES
from models.modalities import MODALITIES
from models.params.base import Params, item_seed
from workers.encoders.types import Facts
from workers.jobs.audio_chunks import AudioChunker
from workers.jobs.text_deltas import DeltaTracker
from workers.model_cache import Loaded
from workers.queue_client import Claim


@dataclass(frozen=True, slots=True)
class ItemLimits:
    """What all items in flight may take together."""

    capacity: int  # rows
    memory: int  # bytes, weights aside


def share(count: int) -> int:
    """Of so many places, as many as one job may have: a quarter less, or one; one always."""
    return max(1, count - max(1, count // 4))


@dataclass(eq=False)
class RunningJob:
    """A job in flight here."""

    claim: Claim
    model: Loaded
    params: Params
    input: dict[str, Any]
    items: int
    seed: int
    inputs: Inputs | None = None  # None while they are being read
    started: int = 0  # items given to the engine
    seconds: float = 0.0
    active: set[int] = field(default_factory=set)
    progress: dict[int, tuple[int, int]] = field(default_factory=dict)
    progress_sent_at: float = 0.0
    preview_sent_at: float = 0.0
    pictures: dict[int, list[Image]] = field(default_factory=dict)  # by item, for a sheet
    chunkers: dict[int, AudioChunker] = field(default_factory=dict)  # by item
    delta_trackers: dict[int, DeltaTracker] = field(default_factory=dict)  # by item
    over: bool = False
    withdrawn: bool = False  # its end waits for no results
    followed: bool = field(init=False)  # whether someone wants to see it on its way
    rows: int = field(init=False)  # of one item
    input_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = self.params.rows
        self.followed = "followed" in self.claim.record
        self.supply(self.inputs)

    def supply(self, inputs: Inputs | None) -> None:
        """Take the files that it refers to."""
        self.input_bytes = sum(values_of(artifact).nbytes for artifact in (inputs or {}).values())
        self.inputs = inputs

    @property
    def owner(self) -> str:
        return self.claim.record.get("owner", "")

    @property
    def alone(self) -> bool:
        return "alone" in self.claim.record

    @property
    def makes_sound(self) -> bool:
        return MODALITIES[FAMILIES[self.model.entry.header.family].modality].preview == "audio"

    def chunker(self, index: int) -> AudioChunker:
        """Returns the chunker of an item's sound."""
        return self.chunkers.setdefault(index, AudioChunker())

    def delta_tracker(self, index: int) -> DeltaTracker:
        """Returns an item's tracker, which goes on where an earlier execution broke off."""
        if index not in self.delta_trackers:
            self.delta_trackers[index] = DeltaTracker.after(index, self.claim.record)
        return self.delta_trackers[index]

    @property
    def left(self) -> int:
        """Items that are not done."""
        return 0 if self.over else self.items - self.started + len(self.active)

    @property
    def waiting(self) -> bool:
        """Whether it has an item that could begin."""
        return not self.over and self.inputs is not None and self.started < self.items

    def most(self, limits: ItemLimits) -> int:
        """Items that may run at once: a quarter of the model's seats, of all rows and of the memory
        for items is left to others, so that a job of many long ones lets them by."""
        each = max(self.rows * self.model.family.item_bytes, 1)
        seats, rows = self.model.family.max_items, limits.capacity // self.weight(limits.capacity)
        return min(map(share, (seats, rows, limits.memory // each)))

    def room(self, limits: ItemLimits) -> int:
        """Items that it has, or may soon have, in the engine: what others can't count on."""
        return min(self.left, self.most(limits))

    def memory(self, items: int) -> int:
        """Memory that its inputs and so many of its items may take."""
        return self.input_bytes + items * self.rows * self.model.family.item_bytes

    def weight(self, capacity: int) -> int:
        """Rows that an item counts for: at most half of all, so that a long walk lets others by."""
        return min(self.rows, max(1, capacity // 2))

    def note(self, index: int, progress: tuple[int, int]) -> None:
        """How far an item is; never less far than before: rows of one flow overtake each other."""
        done, steps = map(int, progress)
        before = self.progress.get(index, (done, steps))
        if done * before[1] >= before[0] * steps:
            self.progress[index] = done, steps

    def totals(self) -> tuple[int, int]:
        """Steps done and steps, over all items; those that have not begun are like the rest."""
        done = sum(d for d, _ in self.progress.values())
        steps = sum(s for _, s in self.progress.values())
        known = len(self.progress)
        return done, steps * self.items // known if known else 0

    def flow(self, index: int) -> Flow:
        """A new flow of an item. It may raise whatever its family raises."""
        rng = seeded(item_seed(self.seed, index))
        params = self.params.owned_by(self.owner)
        return self.model.family.generate(params, rng, self.inputs or NOTHING)

    def facts(self, seed: int) -> Facts:
        """What makes a file, in params that its checkpoint takes: posted again, they repeat it."""
        entry = self.model.entry
        lacking = FAMILIES[entry.header.family].lacks(entry.header)
        params = self.params.model_dump(mode="json", exclude=lacking)
        size = self.input.get("output_size")
        return Facts(self.claim.record["model"], entry.sha256, params, seed, output_size=size)

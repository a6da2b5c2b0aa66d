"""What the benches share: options, measurements in turn, and reports of a ratio to a peer."""

import json
import os
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from models.engine.engine import Engine, Event, Failed, Finished
from models.engine.flow import Flow

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[1]
CHECKPOINTS = ROOT / "checkpoints"
RESULTS = Path(os.environ.get("ATELIER_BENCH_RESULTS", "bench/results.jsonl"))


class Unfinished(RuntimeError):
    """Work that a bench measures did not complete, so its figures mean nothing."""


def parse_options(
    parser: ArgumentParser, argv: Sequence[str] | None, rounds: int | None = None
) -> Namespace:
    """Parses `--smoke`, `--rounds` where a bench has rounds, and the parser's own options.

    A smoke form does the same work in seconds, at sizes that measure nothing.
    """
    parser.add_argument("--smoke", action="store_true", help="run tiny sizes, to see that it works")
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds)
    options = parser.parse_args(argv)
    if options.smoke:
        options.rounds = 0
    torch.set_num_threads(1)
    return options


def seconds_of(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


@dataclass(frozen=True)
class Rounds:
    """Figures by name, one mapping for each round."""

    rounds: Sequence[Mapping[str, float]]

    def median(self, name: str) -> float:
        return statistics.median(figures[name] for figures in self.rounds)

    def ratio(self, a: str, b: str) -> float:
        """The median of `a` divided by `b` in the same round."""
        return statistics.median(figures[a] / figures[b] for figures in self.rounds)


def repeat(rounds: int, measure: Callable[[], Mapping[str, float]]) -> Rounds:
    """Measures once a round. A first round warms up and counts only if it is the only one."""
    measured = [measure() for _ in range(rounds + 1)]
    return Rounds(measured[1:] or measured)


def measure_in_turn(rounds: int, **ways: Callable[[], float]) -> Rounds:
    """Repeats a round in which each way is measured once."""
    return repeat(rounds, lambda: {name: way() for name, way in ways.items()})


def time_in_turn(rounds: int, **works: Callable[[], object]) -> Rounds:
    """Repeats a round in which each work is done once; the figures are seconds."""
    return measure_in_turn(rounds, **{k: partial(seconds_of, work) for k, work in works.items()})


def checked(events: list[Event]) -> list[Event]:
    """Returns the same events. Raises Unfinished if a flow has failed."""
    for event in events:
        if isinstance(event, Failed):
            raise Unfinished(f"flow {event.id} failed: {event.error!r}") from event.error
    return events


def run_flows(engine: Engine, flows: Iterable[tuple[Hashable, Flow]]) -> Iterator[Finished]:
    """Runs flows together, and yields each as it ends. Raises Unfinished if one fails."""
    for name, flow in flows:
        checked(engine.add(name, flow))
    while len(engine):
        for event in checked(engine.tick()):
            if isinstance(event, Finished):
                yield event


def report(claim: str, ratio: float, target: str, **figures: Any) -> None:
    """Prints a claim's figures and its ratio, and appends them to RESULTS as a line of JSON."""
    print(f"{claim}: ratio {ratio:.3g} (target: {target}); {show_figures(figures)}", flush=True)
    line = {"claim": claim, "ratio": ratio, "target": target, **figures}
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")


def report_ratio(
    claim: str, measured: Rounds, a: str, b: str, target: str = "none stated", **figures: Any
) -> None:
    """Reports the ratio of `a` to `b`, with both figures."""
    both = {name: measured.median(name) for name in (a, b)}
    report(claim, measured.ratio(a, b), target, **both, **figures)


def show_figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )


def skip(claim: str, why: str) -> None:
    print(f"{claim}: skipped, {why}", file=sys.stderr)

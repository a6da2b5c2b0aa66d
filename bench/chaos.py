"""Jobs under random kill -9 and SIGSTOP of workers, API and Valkey: `python -m bench.chaos`.

Post jobs of pictures, videos, music and stories to a running `atelier up`. Kill its children at
random while they run, and stop workers for longer than their lease. Check that no job is lost or
finished twice, that no status is seen going backwards, and that every artifact's hash is the one
that a calm run gives.
"""

import os
import random
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import redis
from rich.console import Console
from rich.progress import Progress

from app.core.settings import Settings
from bench.harness import parse_options
from bench.killable_service import Service

ORDER = {"queued": 0, "in_progress": 1, "completed": 2, "failed": 2, "canceled": 2}
ENDED = 2
POLL_SECONDS = 0.05
KINDS = ("image", "video", "image", "audio", "story")  # of the jobs, in turn
STORIES = "tiny-language"  # of random weights: importing the packaged model takes minutes
VIDEOS = "tiny-video_gan"  # of random weights as well, for the smoke form


@dataclass(frozen=True)
class Plan:
    """How many jobs of how many items, and how often each kind of process is killed."""

    jobs: int = 200
    items: int = 24
    workers: int = 8
    api: int = 3
    valkey: int = 2
    stalls: int = 2  # workers that are stopped past their lease, and then go on
    model: str = "dcgan-emoji"  # of the pictures
    video_model: str = "video-emoji"
    kinds: tuple[str, ...] = KINDS
    pause: float = 0.5  # seconds after a post that a kill comes, at most
    window: int = 16  # jobs that are open at once

    @property
    def victims(self) -> list[str]:
        kills = ["worker"] * self.workers + ["api"] * self.api + ["valkey"] * self.valkey
        return kills + ["stall"] * self.stalls

    def kind(self, seed: int) -> str:
        """What the job of a seed makes."""
        return self.kinds[seed % len(self.kinds)]

    def request(self, seed: int) -> dict[str, Any]:
        bodies: dict[str, dict[str, Any]] = {
            "image": {"model": self.model, "n": self.items},
            "video": {
                "model": self.video_model,
                "prompt": "a waving hand",
                "output_format": "mp4",
            },
            "audio": {"model": "wavenet-music", "seconds": 1.0},
            "story": {"model": STORIES, "prompt": "a lighthouse", "max_tokens": 32, "n": 4},
        }
        return bodies[self.kind(seed)]


SMOKE = Plan(
    jobs=24,
    items=8,
    workers=1,
    api=1,
    valkey=1,
    stalls=1,
    video_model=VIDEOS,
    pause=0.2,
    kinds=("image", "video"),
)


@dataclass
class Outcome:
    """The results of a run."""

    hashes: dict[int, list[str]] = field(default_factory=dict)  # by seed
    ends: Counter[str] = field(default_factory=Counter)
    terminal_events: Counter[int] = field(default_factory=Counter)
    backwards: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    seconds: float = 0.0
    last: dict[str, tuple[int, int]] = field(default_factory=dict)  # rank and attempt by job


def request_until_answered(
    client: httpx.Client, method: str, path: str, **options: Any
) -> dict[str, Any]:
    """Repeats a request while the API, or its Valkey, is down."""
    while True:
        try:
            answer = client.request(method, path, **options)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code in (429, 503):
            time.sleep(0.2)
            continue
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


def post(client: httpx.Client, seed: int, plan: Plan) -> str:
    body = {**plan.request(seed), "seed": seed}
    key = {"Idempotency-Key": f"chaos-{seed}"}
    path = f"/generate/{plan.kind(seed)}"
    job: str = request_until_answered(client, "POST", path, json=body, headers=key)["id"]
    return job


def kill(service: Service, kind: str, outcome: Outcome, chance: random.Random) -> None:
    """Kills a process of a kind, or stops a worker past its lease. Waits until there is one."""
    while not (processes := service.find("worker" if kind == "stall" else kind)):
        time.sleep(0.05)
    if kind == "stall":
        service.stall(chance.choice(processes))
    else:
        os.kill(chance.choice(processes), signal.SIGKILL)
    outcome.kills[kind] += 1


def poll_jobs(client: httpx.Client, jobs: dict[int, str], outcome: Outcome) -> None:
    """Polls every job that has not ended, and notes any status that goes backwards."""
    time.sleep(POLL_SECONDS)  # else the polls would take the processors from the workers
    for seed, job in jobs.items():
        if seed in outcome.hashes:
            continue
        record = request_until_answered(client, "GET", f"/jobs/{job}")
        rank = (ORDER[record["status"]], record["attempt"])
        if rank < outcome.last.get(job, rank):
            outcome.backwards.append(f"{job}: {outcome.last[job]} then {rank}")
        outcome.last[job] = rank
        if rank[0] == ENDED:
            outcome.hashes[seed] = [output["sha256"] for output in record["outputs"]]
            outcome.ends[record["status"]] += 1
            outcome.attempts += record["attempt"]


def run(plan: Plan, deadly: bool) -> Outcome:
    """Runs all jobs through one service; if `deadly`, kills processes meanwhile."""
    outcome, chance, jobs = Outcome(), random.Random(plan.jobs), dict[int, str]()
    victims = plan.victims if deadly else []
    chance.shuffle(victims)
    due = {(i + 1) * plan.jobs // (len(victims) + 1): kind for i, kind in enumerate(victims)}
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        service = Service(Path(folder))
        start = time.monotonic()
        try:
            with httpx.Client(base_url=service.url, timeout=10) as client:
                with Progress(console=Console(stderr=True), transient=True) as bar:
                    for seed in bar.track(range(plan.jobs), description="jobs"):
                        jobs[seed] = post(client, seed, plan)
                        if kind := due.get(seed):
                            time.sleep(chance.uniform(0, plan.pause))
                            kill(service, kind, outcome, chance)
                        while len(jobs) - len(outcome.hashes) > plan.window:
                            poll_jobs(client, jobs, outcome)
                while len(outcome.hashes) < plan.jobs:
                    poll_jobs(client, jobs, outcome)
            outcome.seconds = time.monotonic() - start
            count_terminal_events(service, jobs, outcome)
        finally:
            service.stop()
    return outcome


def count_terminal_events(service: Service, jobs: dict[int, str], outcome: Outcome) -> None:
    url = Settings(state=service.state).redis_address
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for seed, job in jobs.items():
            outcome.terminal_events[seed] = int(client.hget(f"rq:job:{job}", "ends") or 0)


def verdict(plan: Plan, calm: Outcome, wild: Outcome) -> list[str]:
    """Returns the faults; none if the service kept its promises."""
    faults = [f"status went backwards: {line}" for line in wild.backwards]
    if wild.ends != Counter(completed=plan.jobs):
        faults.append(f"jobs ended as {dict(wild.ends)}, not {plan.jobs} completed")
    twice = [seed for seed, count in wild.terminal_events.items() if count != 1]
    if twice:
        faults.append(f"jobs with not exactly one terminal event: {twice}")
    other = [
        f"{plan.kind(seed)} {seed}"
        for seed in calm.hashes
        if calm.hashes[seed] != wild.hashes.get(seed)
    ]
    if other:
        faults.append(f"jobs with other bytes than in the calm run: {other}")
    short = {k: n for k, n in Counter(plan.victims).items() if wild.kills[k] < n}
    if short:
        faults.append(f"the jobs were done before all kills: {dict(wild.kills)}")
    return faults


def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(description=__doc__)
    for name in ("jobs", "items", "workers", "api", "valkey", "stalls"):
        parser.add_argument(f"--{name}", type=int, default=vars(Plan)[name])
    parser.add_argument("--pause", type=float, default=Plan.pause)
    parser.add_argument("--model", default=Plan.model)
    options = vars(parse_options(parser, argv))
    plan = SMOKE if options.pop("smoke") else Plan(**options)
    calm, wild = run(plan, deadly=False), run(plan, deadly=True)
    faults = verdict(plan, calm, wild)
    jobs = Counter(map(plan.kind, range(plan.jobs)))
    print(
        f"calm: {calm.seconds:.0f} s; under {dict(wild.kills)} kills: {wild.seconds:.0f} s, "
        f"{wild.attempts} attempts for {plan.jobs} jobs: "
        + ", ".join(f"{n} {kind}" for kind, n in jobs.items())
    )
    print("\n".join(faults) or "none lost, none finished twice, none went back, all bytes equal")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""A worker's resident memory after 5,000 jobs against after 500."""

import os
import subprocess
import sys
from pathlib import Path

from bench.bed import Bed, bed, report
from bench.start import SERVE, ending

EARLY, LATE = 500, 5000


def resident(pid: int) -> float:
    """Resident memory in bytes."""
    if not Path("/proc").is_dir():
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
        return 1024.0 * int(told.stdout)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def finish(on: Bed, worker: "subprocess.Popen[bytes]", upto: int, done: int) -> None:
    """Have the worker do jobs until it has done so many."""
    while done < upto:
        jobs = [on.submit(i) for i in range(100)]
        for job in jobs:
            on.wait(job, worker)
        done += 100


def main() -> None:
    with bed() as on:
        worker = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=on.environment, stderr=subprocess.DEVNULL
        )
        with ending(worker):
            finish(on, worker, EARLY, 0)
            early = resident(worker.pid)
            finish(on, worker, LATE, EARLY)
            late = resident(worker.pid)
    report(
        f"a worker's memory after {LATE:,} jobs, against after {EARLY}",
        late / early,
        "1.02 or less",
        early_mb=early / 2**20,
        late_mb=late / 2**20,
    )


if __name__ == "__main__":
    main()

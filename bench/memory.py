"""A worker's resident memory after 5,000 jobs against after 500."""

import os
import subprocess
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness import parse_options, report
from bench.sandbox import Sandbox, open_sandbox


def resident_memory(pid: int) -> float:
    """Resident memory in bytes."""
    if not Path("/proc").is_dir():
        ps = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
        return 1024.0 * int(ps.stdout)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def run_jobs(sandbox: Sandbox, worker: "subprocess.Popen[Any]", count: int) -> None:
    """Runs jobs, a hundred at a time."""
    for first in range(0, count, 100):
        for job in [sandbox.submit(i) for i in range(min(100, count - first))]:
            sandbox.wait(job, worker)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(ArgumentParser(description=__doc__), argv)
    few, many = (2, 4) if options.smoke else (500, 5000)
    with open_sandbox() as sandbox, sandbox.running("-m", "bench.noop") as worker:
        run_jobs(sandbox, worker, few)
        early = resident_memory(worker.pid)
        run_jobs(sandbox, worker, many - few)
        late = resident_memory(worker.pid)
    report(
        f"a worker's memory after {many:,} jobs, against after {few}",
        late / early,
        "1.02 or less",
        early_mb=early / 2**20,
        late_mb=late / 2**20,
    )


if __name__ == "__main__":
    main()

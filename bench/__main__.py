"""Run every benchmark in turn, then show what they measured as one table."""

import json
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from bench.harness import RESULTS, show_figures

SCRIPTS = (
    "engine",
    "batching",
    "diffusion",
    "text_to_image",
    "video",
    "wavenet",
    "language",
    "embeddings",
    "poems",
    "queue_cpu",
    "start",
    "api",
    "growth",
    "job_search",
    "record_size",
    "memory",
)


def main() -> int:
    RESULTS.unlink(missing_ok=True)
    failed = [
        script
        for script in SCRIPTS
        if subprocess.run([sys.executable, "-m", f"bench.{script}"], check=False).returncode
    ]
    table = Table("claim", "ratio", "target", "figures")
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else []:
        figures = json.loads(line)
        claim, ratio, target = (figures.pop(name) for name in ("claim", "ratio", "target"))
        table.add_row(claim, f"{ratio:.3g}", target, show_figures(figures))
    Console(width=160).print(table)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())

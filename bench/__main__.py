"""Run every benchmark in turn, then show what they measured as one table."""

import json
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from bench.bed import RESULTS

SCRIPTS = (
    "engine",
    "batching",
    "diffusion",
    "text_to_image",
    "video",
    "wavenet",
    "language",
    "queue_cpu",
    "start",
    "api",
    "growth",
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
    table = Table("claim", "ratio", "reach", "figures")
    for line in RESULTS.read_text().splitlines() if RESULTS.exists() else []:
        result = json.loads(line)
        known = {"claim", "ratio", "reach"}
        figures = ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
            for k, v in result.items()
            if k not in known
        )
        table.add_row(result["claim"], f"{result['ratio']:.3g}", result["reach"], figures)
    Console(width=160).print(table)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())

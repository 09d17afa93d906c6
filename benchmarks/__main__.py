"""All benchmarks one after the other: ``python -m benchmarks [NAME ...]``.

Each runs in a process of its own; about four minutes together. Every module can be run by itself with more
options.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

QUICK: dict[str, tuple[str, ...]] = {
    "registration": ("--quick",),
    "scores": ("--quick",),
    "intake": ("--files", "20000"),
    "vision": (),
    "trap_images": (),
    "search_quality": (),
    "search_index": ("--vectors", "100000"),
    "collection": ("--files", "210", "--known", "20000"),
    "delivery": (),
    "web_latency": ("--rate", "2", "--repeats", "7", "--updates", "15"),
    "web_load": ("--seconds", "10"),
}
"""Name -> arguments that keep it short."""


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; returns the worst exit code."""
    unknown = set(names) - set(QUICK)
    if unknown:
        sys.stderr.write(f"no benchmark called {', '.join(sorted(unknown))}; there are: {', '.join(QUICK)}\n")
        return 2
    worst = 0
    for name in names or QUICK:
        print(f"\n=== {name} ===", flush=True)
        if name in ("trap_images", "search_quality") and not _shared_is_there():
            print("skipped: needs real images; set EDGE_SHARED to a folder that has data/trap-images")
            continue
        command = [sys.executable, "-m", f"benchmarks.{name}", *QUICK[name]]
        worst = max(worst, abs(subprocess.run(command, check=False).returncode))
    return worst


def _shared_is_there() -> bool:
    root = Path(os.environ.get("EDGE_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    return (root / "data" / "trap-images").is_dir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

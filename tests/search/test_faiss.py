"""The library behind the index, as the daemon meets it."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import logging
logging.basicConfig(level=logging.INFO)
from edge.search.lists import faiss
print(faiss().omp_get_max_threads())
"""


def test_it_takes_one_thread_and_says_nothing() -> None:
    """A daemon works beside it, and its log is read by people who watch cameras."""
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("1", "")

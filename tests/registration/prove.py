"""The engine's promises, searched for a counterexample for long: ``python -m tests.registration.prove``.

Runs the machine of ``tests.registration.machine`` with one seed after the other until enough examples had
enough steps, and says how many that were. An example that ends early is run all the same, but isn't
counted. A counterexample is shrunk, printed as a program, and ends the search.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.registration.machine import Promises, SqlitePromises

CHUNK = 200
"""Examples with one seed; what Hypothesis remembers of them is let go after each chunk."""


def prove(machine: type[Promises], first_seed: int, examples: int, steps: int) -> None:
    """Search until so many examples had at least so many steps, and print what was done."""
    begin, number, lengths = time.monotonic(), first_seed, machine.lengths
    while sum(length >= steps for length in lengths) < examples:
        run_state_machine_as_test(
            seed(number)(type("Seeded", (machine,), {})),
            settings=settings(
                max_examples=min(CHUNK, examples),
                stateful_step_count=steps + 2,  # the machine's beginning is one to Hypothesis
                deadline=None,
                database=None,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
        number += 1
        _say(machine, steps, f"seeds {first_seed} to {number - 1}, {time.monotonic() - begin:,.0f} s")


def _say(machine: type[Promises], steps: int, when: str) -> None:
    lengths = machine.lengths
    enough = sum(length >= steps for length in lengths)
    short = len(lengths) - enough
    print(  # noqa: T201 - what it is for
        f"{machine.__name__}: {enough:,} examples of at least {steps} steps, {short:,} shorter, "
        f"{sum(lengths):,} steps in all, no counterexample ({when})",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Search; a counterexample is an exception."""
    parser = argparse.ArgumentParser(prog="tests.registration.prove", description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=20_000, help="with at least so many steps")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument(
        "--seed", type=int, default=1, help="the first one; seeds of two searches must not meet"
    )
    parser.add_argument("--sqlite", action="store_true", help="over the store's database")
    chosen = parser.parse_args(arguments)
    prove(SqlitePromises if chosen.sqlite else Promises, chosen.seed, chosen.examples, chosen.steps)


if __name__ == "__main__":
    main()

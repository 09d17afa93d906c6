"""Hypothesis strategies: small worlds in which everything is close to a boundary."""

from __future__ import annotations

import os

from hypothesis import strategies as st

from edge.registration import Observation, Options

DEPLOYMENTS = ("north", "south")
# Raise it to search for longer: EDGE_EXAMPLES=50 pytest tests/registration
EXAMPLES = int(os.environ.get("EDGE_EXAMPLES", "1"))

LABELS = st.sampled_from(["deer", "fox", "boar", None])
TIMES = st.integers(0, 40)

options = st.builds(
    Options,
    method=st.sampled_from(["windowed", "simple"]),
    window=st.integers(1, 9),
    gap=st.integers(0, 9),
    split_on=st.sampled_from(
        [frozenset({"label"}), frozenset({"label", "count"}), frozenset({"count"}), frozenset()]
    ),
    compared_to=st.sampled_from(["last_image", "registration_start"]),
    priors=st.sampled_from([{}, {"fox": 1.0}, {"deer": 0.5, "boar": 2.0}]),
)


def observations(deployments: tuple[str, ...] = DEPLOYMENTS) -> st.SearchStrategy[Observation]:
    """One image; its media id may come up again."""
    return st.builds(
        Observation,
        deployment=st.sampled_from(deployments),
        media_id=st.integers(0, 60).map(lambda number: f"m{number:02}"),
        t=TIMES,
        label=LABELS,
        count=st.sampled_from([1, 1, 1, 2, 3, 0]),
        confidence=st.sampled_from([1_000_000, 500_000, 333_333, 0]),
    )


def images(
    deployments: tuple[str, ...] = DEPLOYMENTS, *, most: int = 25
) -> st.SearchStrategy[list[Observation]]:
    """Images in any order of arrival, each media once, at least one."""
    return st.lists(
        observations(deployments), min_size=1, max_size=most, unique_by=lambda o: (o.deployment, o.media_id)
    )

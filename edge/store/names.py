"""Names that messages carry besides a registration's own values."""

from __future__ import annotations

from collections.abc import Mapping

from edge.store.database import Database


def remember_bundle(database: Database, sha256: str, name: str) -> None:
    """Note the name of a bundle, so that later readers can say which one looked."""
    database.execute(
        "INSERT INTO bundles VALUES (?, ?) ON CONFLICT DO UPDATE SET name = excluded.name", (sha256, name)
    )


def remember_labels(database: Database, scientific: Mapping[str, str]) -> None:
    """Note labels' scientific names."""
    with database.transaction():
        database.execute_many(
            "INSERT INTO labels VALUES (?, ?) ON CONFLICT DO UPDATE SET scientific_name = "
            "excluded.scientific_name",
            list(scientific.items()),
        )

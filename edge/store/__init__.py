"""One SQLite database, the only state."""

"""The service on a machine: which files belong where, and how they get there and go again."""

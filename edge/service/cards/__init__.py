"""A camera's card: what is on it, whose it is, and how it gets into the drop folder."""

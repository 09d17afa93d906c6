"""Finding what was seen, by text or picture."""

"""Camera-trap images in, registrations of animals out, on a small machine in the field."""

__version__ = "0.1.0"

"""Camera-trap images in, registrations of animals out, on a small machine in the field."""

"""The product in one command: a virtual camera, the real service, a real broker, a real subscriber."""

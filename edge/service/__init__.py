"""The daemon: wires the rooms together and owns start, stop and signals."""

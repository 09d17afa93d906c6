"""From a drop folder to whole, dated, identified images."""

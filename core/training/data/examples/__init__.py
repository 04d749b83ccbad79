"""One kind of row each: its cells read, checked, and written down under its canonical columns."""

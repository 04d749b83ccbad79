"""The metrics, a file for each kind; every file lists its own in RECIPES."""

"""Training: settings in, a run out: an adapter or a model, with the record of how it came about."""

"""What a model is worth: metrics behind evaluate's interface, `core.evaluation.load("accuracy").compute(…)`."""

from core.evaluation.loading import combine, load, names

__all__ = ["combine", "load", "names"]

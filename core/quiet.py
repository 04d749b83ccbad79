"""The libraries' own bars and warnings, kept out of the log: our reports and results say what they would."""

from __future__ import annotations

from importlib import import_module


def quieten(library: str) -> None:
    """Let "transformers" or "diffusers" say nothing but errors in this process from now on.

    Their verbosity is the process's own: putting it back after each load would let two loads at a time leave it wrong.
    """
    logging = import_module(f"{library}.utils.logging")
    logging.set_verbosity_error()
    logging.disable_progress_bar()

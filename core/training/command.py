"""The command that trains, as it is shown before the start and really run; several nodes by the same one."""

from __future__ import annotations

import shlex
from pathlib import Path

from core.training.settings import TrainSettings

MODULE = "core.training.worker"
MAIN_PORT = 29_500
"""Where the processes of several machines meet; PyTorch's usual one."""


def worker_command(settings: TrainSettings, folder: Path | str) -> tuple[str, ...]:
    """Return the arguments that train in a run's folder: one process, or several by accelerate.

    They meet at a port that is free. Several processes without a GPU use gloo.
    """
    if settings.num_processes == 1:
        return ("python", "-m", MODULE, str(folder))
    here = ("--num_machines", "1", "--main_process_port", "0")
    return (*_launch(settings, settings.num_processes), *here, "-m", MODULE, str(folder))


def shown_command(settings: TrainSettings, folder: Path | str) -> str:
    """Return the same as a line for a shell."""
    return shlex.join(worker_command(settings, folder))


def nodes_command(settings: TrainSettings, folder: Path | str, machines: int = 2) -> str:
    """Return the line that trains on several machines: to be run on each, with its own RANK and the first's address."""
    launch = shlex.join(_launch(settings, machines * settings.num_processes))
    places = f"--num_machines {machines} --machine_rank $RANK --main_process_ip $MAIN --main_process_port {MAIN_PORT}"
    return f"{launch} {places} {shlex.join(('-m', MODULE, str(folder)))}"


def _launch(settings: TrainSettings, processes: int) -> tuple[str, ...]:
    """Name everything, so that what somebody once told `accelerate config` changes nothing.

    `--multi_gpu` starts the processes without a GPU, too; with `--cpu`, accelerate 1.15 starts one and leaves the
    others to MPI. The worker keeps off GPUs that its settings do not name.
    """
    many = ("accelerate", "launch", "--multi_gpu", "--num_processes", str(processes))
    return (*many, "--mixed_precision", _mixed(settings), "--dynamo_backend", "no")


def _mixed(settings: TrainSettings) -> str:
    return settings.precision if settings.precision in ("bf16", "fp16") else "no"

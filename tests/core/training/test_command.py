"""Tests of the command that trains."""

from __future__ import annotations

import shlex

from core.training.command import nodes_command, shown_command, worker_command
from core.training.settings import TrainSettings


def test_one_process_needs_no_launcher() -> None:
    """A single process is Python and the worker."""
    assert worker_command(TrainSettings(), "/runs/x") == ("python", "-m", "core.training.worker", "/runs/x")


def test_several_processes_are_launched_by_accelerate() -> None:
    """The number of processes and the precision are on the line; accelerate's own parser reads it."""
    from accelerate.commands.launch import launch_command_parser

    settings = TrainSettings(num_processes=2, device="cpu", precision="bf16")
    program, launch, *arguments = worker_command(settings, "/runs/my run")
    read = launch_command_parser().parse_args(arguments)
    assert (program, launch) == ("accelerate", "launch")
    assert (read.num_processes, read.mixed_precision, read.module) == (2, "bf16", True)
    assert (read.training_script, read.training_script_args) == ("core.training.worker", ["/runs/my run"])


def test_what_is_shown_is_what_runs() -> None:
    """The shell reads the shown line back into the arguments, spaces and all."""
    settings = TrainSettings(num_processes=3)
    assert tuple(shlex.split(shown_command(settings, "/runs/my run"))) == worker_command(settings, "/runs/my run")


def test_nodes_meet_at_the_first_one() -> None:
    """On several machines the processes are counted together, and each machine has a rank."""
    from accelerate.commands.launch import launch_command_parser

    line = nodes_command(TrainSettings(num_processes=4), "/runs/x").replace("$RANK", "1").replace("$MAIN", "10.0.0.1")
    read = launch_command_parser().parse_args(shlex.split(line)[2:])
    assert (read.num_processes, read.num_machines, read.machine_rank) == (8, 2, 1)
    assert read.main_process_ip == "10.0.0.1"

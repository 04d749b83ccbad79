"""A job's own process: what is run, in which environment, and where its words go."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.jobs.folder import JobFolder
from core.jobs.records import Carrier, Record
from core.redaction import SECRET_VARIABLES, Redactor, names_a_secret
from core.settings import PROJECT

FOLDER = "FOLDER"
"""Stands for the job's folder among a command's arguments."""
JOB_VARIABLE = "ATELIER_JOB"
"""Every process of a job, and every child of it, has the job's id in its environment under this name."""

PASSED_NAMES = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TEMP TMP LD_LIBRARY_PATH LD_PRELOAD VIRTUAL_ENV PYTHONPATH "
    "PYTHONHASHSEED PYTHONWARNINGS HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy "
    "CURL_CA_BUNDLE REQUESTS_CA_BUNDLE CUBLAS_WORKSPACE_CONFIG KMP_AFFINITY GOMP_CPU_AFFINITY HSA_OVERRIDE_GFX_VERSION "
    "HUGGING_FACE_HUB_TOKEN HUGGINGFACEHUB_API_TOKEN ATELIER_HOME TOKENIZERS_PARALLELISM".split()
)
"""What a job's process gets of the server's environment, and nothing else: never the password of the page."""
PASSED_PREFIXES = tuple(
    "LC_ XDG_ SSL_ HF_ TRANSFORMERS_ DIFFUSERS_ DATASETS_ ACCELERATE_ TORCH PYTORCH_ CUDA_ NVIDIA_ NCCL_ GLOO_ ROCR_ "
    "HIP_ MIOPEN_ OMP_ MKL_ OPENBLAS_ NUMEXPR_ WANDB_ TRACKIO_ MPL".split()
)


@dataclass(frozen=True)
class ProcessWork:
    """What a job's own process runs: `("python", "-m", "core.training.worker", FOLDER)`.

    Programs are looked up beside this Python first. The folder says all that is needed, so that the job can wait over a
    restart of the server; only `secrets` are kept in memory alone, and are gone by then.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that may be written down."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that no file may hold, under telling names such as HF_TOKEN, so that the child keeps them out, too."""
    fill: Callable[[Path], None] | None = None
    """Puts settings and data into the new folder before anybody can see it; what it raises, `launch` raises."""
    bytes_needed: int = 0
    """Room on disk that the work will take."""

    def __post_init__(self) -> None:
        """Refuse, as a mistake in the program, a secret that the child could not tell from other words."""
        for name in self.secrets:
            if name not in SECRET_VARIABLES and not names_a_secret(name, "text"):
                raise ValueError(name)


class OutlivingProcess(subprocess.Popen[bytes]):
    """A child that may outlive its parent, which is what it is for: forgetting it is no mistake."""

    def __del__(self) -> None:
        """Let it go without a warning."""


def child_environment(server: Mapping[str, str], record: Record, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a job's process: what is listed of the server's, then the job's own."""
    passed = {name: held for name, held in server.items() if name in PASSED_NAMES or name.startswith(PASSED_PREFIXES)}
    # Beside this Python, not beside what it links to: that is where a virtual environment keeps its programs.
    programs = os.pathsep.join([str(Path(sys.executable).parent), passed.get("PATH", os.defpath)])
    own = {"PATH": programs, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", JOB_VARIABLE: record.id}
    return {**passed, **own, **record.environment, **secrets}


def with_process(record: Record, command: ProcessWork, device: str) -> Record:
    """Add what a process needs; a secret among what is written down is a mistake in the program."""
    redactor = Redactor.of(record.settings, os.environ)
    written = {"arguments": list(command.arguments), "environment": dict(command.environment)}
    if redactor.value(written) != written:
        raise ValueError("a secret belongs into `secrets`")
    return replace(
        record,
        settings=redactor.value(record.settings),
        carrier=Carrier.PROCESS,
        device=device,
        command=command.arguments,
        environment=dict(command.environment),
        bytes_needed=command.bytes_needed,
    )


def command_of(record: Record, folder: Path) -> list[str]:
    """Return a job's command with its folder filled in."""
    return [str(folder) if argument == FOLDER else argument for argument in record.command]


def shown_command(work: ProcessWork, folder: str = FOLDER) -> str:
    """Return the command as one types it into a shell, in the folder of this project."""
    return shlex.join(folder if argument == FOLDER else argument for argument in work.arguments)


def start_process(folder: JobFolder, record: Record, secrets: Mapping[str, str]) -> OutlivingProcess:
    """Start a job's process in a session of its own, its words going to log.txt; raises OSError.

    A file takes what is written for as long as there is room; a pipe would need somebody who reads it.
    """
    with folder.log_file.open("ab") as log:
        return OutlivingProcess(
            command_of(record, folder.path),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            env=child_environment(os.environ, record, secrets),
            start_new_session=True,
        )

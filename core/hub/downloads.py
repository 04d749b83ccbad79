"""Bringing one commit's files into the cache: room first, resumable, cancellable, every weight checked.

huggingface_hub 2.4 gives each download a temporary file of its own and deletes it when the download ends early, so a
second attempt begins at zero. Large files are therefore streamed here into `blobs/<sha256>.incomplete`, which any later
attempt continues by a Range request; huggingface_hub then finds the finished blob and lays out the snapshot itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import DamagedDownload, DiskFull
from core.events import CancelToken, Progress
from core.hub.cache import Cache, size_of
from core.hub.repository import RepoFile, Repository
from core.words import in_bytes

MARGIN = 1.1
"""Free disk asked for, as a multiple of what is missing."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt after a cut that brought no new byte."""
REPORT_EVERY = 0.1
"""Seconds between two progress reports."""
HASH_BLOCK = 4_000_000
RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})

Report = Callable[[Progress], None]


class Meter:
    """Counts bytes of one phase and reports them, not more often than every REPORT_EVERY seconds."""

    def __init__(self, phase: str, total: int, report: Report | None) -> None:
        """Begin at zero, now."""
        self._phase, self._total, self._report = phase, total, report
        self._done, self._began, self._reported = 0, time.monotonic(), 0.0

    def expect(self, more: int) -> None:
        """Raise the total: bytes that were here already must be fetched again."""
        self._total += more

    def add(self, count: int) -> None:
        """Count bytes that arrived."""
        self._done += count
        now = time.monotonic()
        if self._report and (now - self._reported >= REPORT_EVERY or self._done == self._total):
            self._reported = now
            self._report(Progress(self._phase, self._done, self._total, now - self._began))


@dataclass(frozen=True)
class Download:
    """One commit on its way into the cache."""

    repository: Repository
    cache: Cache
    endpoint: str
    offline: bool
    report: Report | None
    cancel: CancelToken
    token: str | None = field(default=None, repr=False)

    def run(self) -> Path:
        """Fetch what is missing, check what was not checked yet, and return the snapshot folder.

        Raises DiskFull, DamagedDownload, Cancelled, or an error of huggingface_hub or its HTTP client.
        """
        missing = sum(self.cache.missing_bytes(file, self.repository.commit) for file in self.repository.needed)
        self._require_room(missing)
        meter = Meter("download", missing, self.report)
        for file in self.repository.needed:
            self.cancel.check()
            self._obtain(file, meter)
        for file in self.repository.weights:
            self._ensure_verified(file)
        self.cache.remember_revision(self.repository.revision, self.repository.commit)
        return self.cache.snapshot(self.repository.commit)

    def _require_room(self, missing: int) -> None:
        root = self.cache.root
        existing = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
        free = shutil.disk_usage(existing).free
        if missing and missing * MARGIN > free:
            needed = in_bytes(missing * MARGIN)
            raise DiskFull(
                "error.disk_full", repo_id=self.repository.repo_id, needed=needed, free=in_bytes(free), folder=str(root)
            )

    def _obtain(self, file: RepoFile, meter: Meter) -> None:
        """Put one file where the snapshot wants it; small files (no sha256, 10 MB at most) need no resuming."""
        if self._path(file).is_file():
            return
        if file.sha256 and not self.offline:
            self._fetch_blob(file, file.sha256, meter)
            self._place(file)
        else:
            self._place(file)
            meter.add(file.size_bytes)

    def _place(self, file: RepoFile) -> None:
        """Let huggingface_hub lay the file into the snapshot, fetching it if no blob is there yet."""
        from huggingface_hub import hf_hub_download

        hf_hub_download(
            self.repository.repo_id,
            file.name,
            revision=self.repository.commit,
            cache_dir=self.cache.root,
            endpoint=self.endpoint,
            token=self.token,
            local_files_only=self.offline,
        )

    def _fetch_blob(self, file: RepoFile, sha256: str, meter: Meter) -> None:
        blob, partial = self.cache.blob(sha256), self.cache.partial(sha256)
        blob.parent.mkdir(parents=True, exist_ok=True)
        with self._alone(sha256):
            if blob.is_file():
                return
            self._stream_until_whole(file, partial, meter)
            if not self._is_intact(partial, file):
                raise self._damaged(file, partial)
            partial.replace(blob)
            self._remember_verified(blob, sha256)

    @contextmanager
    def _alone(self, sha256: str) -> Iterator[None]:
        """Keep other threads and processes off the same partial file; a stop request is heard while waiting."""
        from filelock import Timeout
        from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

        lock = self.cache.root / ".locks" / self.cache.folder.name / f"{sha256}.partial.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            while True:
                self.cancel.check()
                try:
                    held.enter_context(WeakFileLock(lock, timeout=0.5))
                    break
                except Timeout:
                    continue
            yield

    def _stream_until_whole(self, file: RepoFile, partial: Path, meter: Meter) -> None:
        """Continue after each cut; give up when several attempts in a row bring no new byte."""
        idle = 0
        while (have := size_of(partial)) < file.size_bytes:
            self.cancel.check()
            problem = self._stream(file, partial, meter)
            idle = 0 if size_of(partial) > have else idle + 1
            if problem and idle > len(PAUSES):
                raise problem
            if problem and idle:
                self._pause(PAUSES[idle - 1])

    def _stream(self, file: RepoFile, partial: Path, meter: Meter) -> Exception | None:
        """Append to `partial` what the server sends; return the passing trouble that ended it early, if any."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError

        passing = (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)
        have = size_of(partial)
        try:
            self._append(file, partial, meter)
        except passing as cut:
            return cut
        except HfHubHTTPError as refusal:
            if refusal.response.status_code not in RETRIED_STATUS:
                raise
            return refusal
        return None if size_of(partial) > have else httpx2.RemoteProtocolError("an empty answer")

    def _append(self, file: RepoFile, partial: Path, meter: Meter) -> None:
        from huggingface_hub import constants, get_session, hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            hf_raise_for_status,
        )

        url = hf_hub_url(self.repository.repo_id, file.name, revision=self.repository.commit, endpoint=self.endpoint)
        have = size_of(partial)
        headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as response:
            hf_raise_for_status(response)
            continued = response.status_code == 206  # noqa: PLR2004 200 = the server sends it from the start
            with partial.open("ab" if continued else "wb") as out:
                meter.expect(0 if continued else have)
                for chunk in response.iter_bytes():
                    self.cancel.check()
                    out.write(chunk)
                    meter.add(len(chunk))
                    if out.tell() > file.size_bytes:
                        return

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.cancel.check()
            time.sleep(0.05)

    def _ensure_verified(self, file: RepoFile) -> None:
        """Check a weight file once in its life on this disk: a marker remembers the file that passed."""
        path = self._path(file).resolve()
        if file.sha256 and self._was_verified(path, file.sha256):
            return
        if not self._is_intact(path, file):
            raise self._damaged(file, path, self._path(file))
        if file.sha256:
            self._remember_verified(path, file.sha256)

    def _is_intact(self, path: Path, file: RepoFile) -> bool:
        if path.stat().st_size != file.size_bytes:
            return False
        return file.sha256 is None or self._sha256(path) == file.sha256

    def _sha256(self, path: Path) -> str:
        digest = hashlib.sha256()
        meter = Meter("verify", path.stat().st_size, self.report)
        with path.open("rb") as content:
            while block := content.read(HASH_BLOCK):
                self.cancel.check()
                digest.update(block)
                meter.add(len(block))
        return digest.hexdigest()

    def _damaged(self, file: RepoFile, *paths: Path) -> DamagedDownload:
        """Remove the file, so that the next attempt begins clean, and return the error to raise."""
        for path in paths:
            path.unlink(missing_ok=True)
        return DamagedDownload("error.download_damaged", repo_id=self.repository.repo_id, file=file.name)

    def _was_verified(self, path: Path, sha256: str) -> bool:
        marker = self.cache.marker(sha256)
        return marker.is_file() and marker.read_text(encoding="ascii") == _stamp(path)

    def _remember_verified(self, path: Path, sha256: str) -> None:
        if not os.access(self.cache.folder, os.W_OK):
            return  # a cache mounted read-only is still usable; its files are checked each time
        marker = self.cache.marker(sha256)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(_stamp(path), encoding="ascii")

    def _path(self, file: RepoFile) -> Path:
        return self.cache.snapshot(self.repository.commit) / file.name


def _stamp(path: Path) -> str:
    status = os.stat(path)  # noqa: PTH116 a resolved path may be a link into a shared store: follow it
    return f"{status.st_size} {status.st_mtime_ns}"

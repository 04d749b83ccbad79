"""The Hugging Face Hub: what a repository holds, what its weights say of themselves, and the way into the cache."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.errors import HubUnreachable, InvalidInput, ModelError, UnsafeWeights
from core.events import CancelToken, Progress
from core.hub.cache import CONFIGURATIONS, Cache, read_object
from core.hub.choice import Choice, choose
from core.hub.conversion import find_conversion
from core.hub.downloads import Download
from core.hub.errors import Place, in_our_words
from core.hub.pipeline_files import INDEX
from core.hub.repository import COMMIT, RepoFile, Repository, valid_sha256
from core.hub.safetensors_header import INDEX_TYPES

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

DEFAULT_REVISION = "main"
LOOK_UP_SECONDS = 10
"""How long the Hub may take to answer a look-up."""
_REVISION = re.compile(r"[\w.][\w./-]{0,199}", re.ASCII)
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class HubFacts:
    """What is known of a model before its weights are downloaded."""

    parameters: int
    """How many numbers all tensors hold."""
    parameters_by_dtype: Mapping[str, int]
    """The same by safetensors dtype: {"F32": 66955010}."""
    parameters_by_file: Mapping[str, int]
    """The same by file: {"unet/diffusion_pytorch_model.safetensors": 859520964}."""
    weight_bytes: int
    config: Mapping[str, Any]
    """model_index.json, or config.json, or adapter_config.json: the first one there is."""
    components: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The configurations of a pipeline's networks, by component."""


class Hub:
    """One Hub, seen with one token, through one cache.

    What is not given is what huggingface_hub would use: HF_ENDPOINT, HF_HOME or HF_HUB_CACHE, HF_TOKEN or the saved
    login, HF_HUB_OFFLINE. Every method raises only errors of core.errors, and none of them ever holds the token.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        cache: Path | None = None,
        token: str | None = None,
        offline: bool | None = None,  # noqa: FBT001 three states, by name everywhere
    ) -> None:
        """Keep the choices; nothing is read or asked yet. A malformed token raises InvalidInput."""
        if token is not None and not _TOKEN.fullmatch(token.strip()):
            raise InvalidInput("error.hub_token_malformed")
        self._endpoint, self._cache, self._offline = endpoint, cache, offline
        self._token = token.strip() if token else None

    def __repr__(self) -> str:
        """Show where it looks, never the token."""
        return f"Hub(endpoint={self.endpoint!r}, cache={str(self.cache)!r}, offline={self.offline})"

    @property
    def endpoint(self) -> str:
        """Address of the Hub, without a slash at the end."""
        from huggingface_hub import constants

        return (self._endpoint or constants.ENDPOINT).rstrip("/")

    @property
    def cache(self) -> Path:
        """Folder of huggingface_hub's cache."""
        from huggingface_hub import constants

        return Path(self._cache or constants.HF_HUB_CACHE)

    @property
    def offline(self) -> bool:
        """True if the network must not be used."""
        from huggingface_hub import constants

        return constants.is_offline_mode() if self._offline is None else self._offline

    def look_up(
        self, repo_id: str, revision: str | None = None, cancel: CancelToken | None = None, *, adapter: bool = False
    ) -> Repository:
        """Ask the Hub what `repo_id` holds at `revision` (default: main); without network, ask the cache.

        `adapter`: what is wanted is one file to lay over a picture model, not a model. Where main has only pickles and
        the Hub's bot has converted them, that pull request is what is found. Raises InvalidInput, HubMissing, HubGated,
        HubUnreachable, UnsafeWeights (only pickles) or NotAModel (no weights, or not all of them).
        """
        place = replace(self._place(repo_id, revision or DEFAULT_REVISION), adapter=adapter)
        if cancel:
            cancel.check()
        if self.offline:
            return self._in_cache(place, HubUnreachable("error.hub_offline", **place.values))
        try:
            with in_our_words(place):
                return self._described_or_converted(self._ask(place, revision), place, asked=revision)
        except HubUnreachable as silence:
            return self._in_cache(place, silence)

    def facts(self, repository: Repository, cancel: CancelToken | None = None) -> HubFacts:
        """Read the safetensors headers (by range requests where they are not in the cache) and the configuration.

        Raises what `look_up` raises, and NotAModel if a header is damaged.
        """
        with in_our_words(self._place(repository.repo_id, repository.revision)):
            counted = self._count_parameters(repository, cancel or CancelToken())
            counts = _total(counted.values())
            return HubFacts(
                parameters=sum(counts.values()),
                parameters_by_dtype=counts,
                parameters_by_file={name: sum(one.values()) for name, one in counted.items()},
                weight_bytes=sum(file.size_bytes for file in repository.weights),
                config=self._configuration(repository),
                components=self._components(repository),
            )

    def configuration(self, repository: Repository) -> Mapping[str, Any]:
        """Read model_index.json, or config.json, or adapter_config.json: the first one there is; {} if none.

        Raises what `look_up` raises, and NotAModel if it is no JSON object.
        """
        with in_our_words(self._place(repository.repo_id, repository.revision)):
            return self._configuration(repository)

    def download(
        self,
        repository: Repository,
        *,
        progress: Callable[[Progress], None] | None = None,
        cancel: CancelToken | None = None,
    ) -> Path:
        """Bring what loading needs into the cache and return the snapshot folder, pinned to the commit.

        Reports bytes over all files (phase "download", then "verify" for each weight that was not checked before).
        What an earlier attempt left is continued. Raises DiskFull, DamagedDownload, Cancelled or what `look_up` raises.
        """
        place = self._place(repository.repo_id, repository.revision)
        cache = self._cache_of(repository.repo_id)
        with in_our_words(place):
            folder = Download(
                repository=repository,
                cache=cache,
                endpoint=self.endpoint,
                offline=self.offline,
                report=progress,
                cancel=cancel or CancelToken(),
                token=self._token,
            ).run()
            if repository.converted:
                cache.remember_conversion(repository.revision)
            return folder

    @property
    def _api(self) -> HfApi:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint, token=self._token)

    def _cache_of(self, repo_id: str) -> Cache:
        return Cache(self.cache, repo_id)

    def _place(self, repo_id: str, revision: str) -> Place:
        """Check both names before anything is asked: nonsense costs no request, and no name leaves the cache."""
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        place = Place(repo_id, revision, self.endpoint)
        with in_our_words(place):
            validate_repo_id(repo_id)
        if not _REVISION.fullmatch(revision) or ".." in revision:
            raise InvalidInput("error.hub_invalid_revision", **place.values)
        return place

    def _ask(self, place: Place, revision: str | None) -> ModelInfo:
        try:
            return self._api.model_info(place.repo_id, revision=revision, files_metadata=True, timeout=LOOK_UP_SECONDS)
        except (KeyError, TypeError) as problem:  # JSON, but not what a Hub says of a model
            raise HubUnreachable("error.hub_not_a_hub", **place.values) from problem

    def _described_or_converted(self, info: ModelInfo, place: Place, asked: str | None) -> Repository:
        """Describe what was found; where that is only pickles and nobody asked for a revision, their conversion."""
        try:
            return self._described(info, place)
        except UnsafeWeights:
            found = None if asked else find_conversion(self._api, info, LOOK_UP_SECONDS)
            if found is None:
                raise
            converted = self._described(found.info, replace(place, revision=found.revision))
            return replace(converted, converted=True)

    def _described(self, info: ModelInfo, place: Place) -> Repository:
        """Turn the Hub's answer into a Repository; an answer without commit or files is no Hub's."""
        if not info.sha or not COMMIT.fullmatch(info.sha) or info.siblings is None:
            raise HubUnreachable("error.hub_not_a_hub", **place.values)
        files = tuple(
            RepoFile(file.rfilename, file.size or 0, valid_sha256(file.lfs.sha256 if file.lfs else None))
            for file in info.siblings
        )
        tags = info.tags or ()
        commit = info.sha
        chosen = choose(files, place.repo_id, lambda: self._read(place.repo_id, commit, INDEX), adapter=place.adapter)
        found = Repository(
            repo_id=place.repo_id,
            revision=place.revision,
            commit=commit,
            files=files,
            weights=chosen.weights,
            companions=chosen.companions,
            download_bytes=0,
            pipeline_tag=info.pipeline_tag,
            library=info.library_name,
            gated=info.gated or False,
            licence=next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None),
            has_remote_code="custom_code" in tags or "auto_map" in (info.config or {}),
        )
        return replace(found, download_bytes=self._missing_bytes(found))

    def _missing_bytes(self, repository: Repository) -> int:
        cache = self._cache_of(repository.repo_id)
        return sum(cache.missing_bytes(file, repository.commit) for file in repository.needed)

    def _in_cache(self, place: Place, silence: HubUnreachable) -> Repository:
        """Answer from the cache; raises `silence` if the revision was never downloaded, or not all of it."""
        cache = self._cache_of(place.repo_id)
        found = self._whole(cache, place.revision, place)
        converted = place.revision == DEFAULT_REVISION and not found
        revision = cache.conversion if converted else place.revision
        if converted and revision:
            found = self._whole(cache, revision, place)
        if not found or not revision:
            raise silence
        commit, files, chosen = found
        return Repository(
            repo_id=place.repo_id,
            revision=revision,
            commit=commit,
            files=files,
            weights=chosen.weights,
            companions=chosen.companions,
            download_bytes=0,
            has_remote_code="auto_map" in cache.configuration(commit),
            cached=True,
            converted=converted,
        )

    @staticmethod
    def _whole(cache: Cache, revision: str, place: Place) -> tuple[str, tuple[RepoFile, ...], Choice] | None:
        """Return commit, files and those to load of a revision in the cache; None if it is not here, or not whole."""
        commit = cache.commit_of(revision)
        if not commit:
            return None
        files = cache.files(commit)
        index = cache.snapshot(commit) / INDEX
        try:
            return commit, files, choose(files, place.repo_id, lambda: read_object(index), adapter=place.adapter)
        except ModelError:
            return None

    def _components(self, repository: Repository) -> dict[str, Mapping[str, Any]]:
        """Read the configurations of a pipeline's networks: small files, one in the folder of each."""
        names = {file.name for file in repository.needed}
        folders = dict.fromkeys(str(PurePosixPath(file.name).parent) for file in repository.weights)
        present = (folder for folder in folders if folder != "." and f"{folder}/config.json" in names)
        return {one: self._read(repository.repo_id, repository.commit, f"{one}/config.json") for one in present}

    def _count_parameters(self, repository: Repository, cancel: CancelToken) -> dict[str, Counter[str]]:
        """Count the parameters of each weight file by dtype; several headers are asked for at a time."""
        from huggingface_hub import parse_local_safetensors_file_metadata

        snapshot = self._cache_of(repository.repo_id).snapshot(repository.commit)
        api = self._api

        def count(file: RepoFile) -> Counter[str]:
            cancel.check()
            if (snapshot / file.name).is_file():
                return _parameters(parse_local_safetensors_file_metadata(snapshot / file.name).parameter_count)
            self._require_network(repository)
            found = api.parse_safetensors_file_metadata(repository.repo_id, file.name, revision=repository.commit)
            return _parameters(found.parameter_count)

        with ThreadPoolExecutor(max_workers=8) as pool:
            counted = pool.map(count, repository.weights)
            return {file.name: one for file, one in zip(repository.weights, counted, strict=True)}

    def _require_network(self, repository: Repository) -> None:
        if self.offline:
            raise HubUnreachable("error.hub_offline", **self._place(repository.repo_id, repository.revision).values)

    def _configuration(self, repository: Repository) -> Mapping[str, Any]:
        names = {file.name for file in repository.files}
        name = next((name for name in CONFIGURATIONS if name in names), None)
        if name is None:
            return {}
        return self._read(repository.repo_id, repository.commit, name)

    def _read(self, repo_id: str, commit: str, name: str) -> Mapping[str, Any]:
        """Return a small JSON file of a repository."""
        path = self._api.hf_hub_download(
            repo_id, name, revision=commit, cache_dir=self.cache, local_files_only=self.offline
        )
        return read_object(Path(path))


def _parameters(counted: Mapping[Any, int]) -> Counter[str]:
    """Leave out tables of positions and masks."""
    return Counter({dtype: count for dtype, count in counted.items() if dtype not in INDEX_TYPES})


def _total(counts: Iterable[Mapping[Any, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total

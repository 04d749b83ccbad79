"""A training of pictures, put together: the pipeline, what of it learns, its encoded data, its trainer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.catalogue import ModelSpec
from core.jobs.work import JobHandle
from core.models.files import ModelFiles
from core.training.data.prepared import Row
from core.training.data.watch import Watch
from core.training.pictures.attention import attend_as_usual, attend_exactly
from core.training.pictures.batches import BatchMaker
from core.training.pictures.captions import cut_captions
from core.training.pictures.encoding import Encoded, How, Picture, encode
from core.training.pictures.learner import learner_of
from core.training.pictures.method import prepare_to_learn, save_result
from core.training.pictures.parts import PictureParts, load_parts
from core.training.pictures.samples import PictureSamples, Wanted
from core.training.pictures.trainer import PictureLesson, make_picture_trainer, picture_arguments
from core.training.settings import TrainSettings
from core.words import Sentence, say


@dataclass(frozen=True)
class PictureWork:
    """What is to be learnt, from what, and where."""

    settings: TrainSettings
    """With every choice made."""
    spec: ModelSpec
    files: ModelFiles
    folder: Path
    """The run's: encoded data go to data/, checkpoints to checkpoints/, samples to result/samples/."""
    train: Sequence[Row]
    """Rows with `image` (a path) and `caption`."""
    validation: Sequence[Row]
    data_hash: str
    job: JobHandle

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures, those that are held out last."""
        return tuple(Picture(Path(row["image"]), str(row["caption"])) for row in (*self.train, *self.validation))


@dataclass(frozen=True)
class Studio:
    """Everything is loaded and encoded: `trainer.train()` may begin, or go on."""

    work: PictureWork
    parts: PictureParts
    trainer: Any
    trainable: int
    """Parameters that learn."""
    total: int
    """Parameters of UNet and text encoders, adapters not counted."""
    notes: tuple[Sentence, ...] = ()

    def save(self, folder: Path) -> None:
        """Write what was learnt (see `save_result`); with an average of the weights, that is what stays."""
        if self.trainer.average:
            self.trainer.average.put_in()
        attend_as_usual(self.parts.unet)
        folder.mkdir(parents=True, exist_ok=True)
        save_result(self.parts, self.work.settings, folder)


def open_studio(work: PictureWork, listeners: Sequence[object] = ()) -> Studio:
    """Load, encode, and make the trainer; every process of a training does this.

    Raises WrongTask for a pipeline that is not trained here, InvalidInput for layers, ranks or sizes that cannot be,
    BadFile for a picture that cannot be read any more, and Cancelled.
    """
    import transformers

    arguments = picture_arguments(work.settings, work.folder / "checkpoints", evaluates=bool(work.validation))
    parts = load_parts(work.spec, work.files)
    with arguments.main_process_first(local=False, desc="encode"):
        encoded = _encoded(work, parts, arguments.device)
    transformers.set_seed(work.settings.seed)  # fresh adapters begin the same way each time
    trainable, total = prepare_to_learn(parts, work.settings, on_gpu=arguments.device.type != "cpu")
    if arguments.device.type == "cpu" and work.settings.precision != "fp32":
        attend_exactly(parts.unet)
    samples = PictureSamples(parts, _wanted(work, encoded), work.folder / "result", work.job)
    lesson = PictureLesson(
        work.settings,
        learner_of(parts, work.settings.snr_gamma, reads=not encoded.has_states),
        BatchMaker(parts, encoded, work.settings.seed, work.settings.noise_offset),
        len(work.validation),
        (*listeners, samples),
    )
    trainer = make_picture_trainer(lesson, arguments)
    samples.average = trainer.average
    return Studio(work, parts, trainer, trainable, total, tuple(_notes(parts, encoded)))


def _encoded(work: PictureWork, parts: PictureParts, device: Any) -> Encoded:
    settings = work.settings
    how = How(
        resolution=parts.resolution(settings.resolution),
        center_crop=settings.center_crop,
        random_flip=settings.random_flip,
        states=not settings.train_text_encoder,
        base=f"{work.spec.name}@{work.files.revision}",
        data_hash=work.data_hash,
    )
    watch = Watch(work.job.report, work.job.cancel)
    return encode(parts, work.pictures, how, work.folder / "data", device, watch)


def _wanted(work: PictureWork, encoded: Encoded) -> Wanted:
    rows = work.validation or work.train
    return Wanted.of(work.settings, [str(row["caption"]) for row in rows], encoded.how.resolution)


def _notes(parts: PictureParts, encoded: Encoded) -> Iterator[Sentence]:
    texts = list(dict.fromkeys(one.caption for one in encoded.pictures))
    cut = cut_captions(parts.tokenizers, texts)
    if cut:
        yield say("say.train_captions_cut", count=cut, limit=parts.tokenizers[0].model_max_length)

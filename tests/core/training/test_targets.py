"""Tests of which layers an adapter is laid over."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidInput, WrongTask
from core.training.settings import TrainSettings
from core.training.skeleton import skeleton
from core.training.targets import Layer, choose_targets, layer_groups, layers_of
from core.training.tasks import find_train_task
from tests.core.training.bases import base_in
from tests.fakes.models import tiny_bert, tiny_llama

CLASSIFIER = find_train_task("text-classification")
WRITER = find_train_task("text-generation")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layer, ...]:
    """Return the layers of a tiny BERT."""
    folder = tiny_bert(tmp_path_factory.mktemp("bert"))
    return layers_of(skeleton(base_in(folder), CLASSIFIER), CLASSIFIER)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> tuple[Layer, ...]:
    """Return the layers of a tiny Llama."""
    folder = tiny_llama(tmp_path_factory.mktemp("llama"))
    return layers_of(skeleton(base_in(folder), WRITER), WRITER)


def test_head_and_vocabulary_are_no_targets(bert: tuple[Layer, ...], llama: tuple[Layer, ...]) -> None:
    """What writes the answer is trained whole, or not at all."""
    assert {layer.short for layer in bert} == {"query", "key", "value", "dense"}
    projections = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert {layer.short for layer in llama} == projections


def test_layers_are_grouped_by_role(bert: tuple[Layer, ...]) -> None:
    """Two layers of a BERT have two queries of 32 x 32, and six dense layers beside the pooler's."""
    groups = {group.name: group for group in layer_groups(bert, TrainSettings())}
    assert (groups["query"].count, groups["query"].inputs, groups["query"].parameters) == (2, 32, 2 * 32 * 32)
    assert groups["dense"].count == 7
    assert all(group.proposed for group in groups.values())


def test_all_layers_are_proposed(bert: tuple[Layer, ...]) -> None:
    """LoRA goes over every layer, by short names."""
    targets = choose_targets(bert, TrainSettings())
    assert targets.modules == ("query", "key", "value", "dense")
    assert targets.layers == bert
    assert choose_targets(bert, TrainSettings(target_modules="all-linear")) == targets


def test_ia3_takes_keys_values_and_the_second_feed_forward(llama: tuple[Layer, ...]) -> None:
    """As peft's own table has it for a Llama: keys, values and down_proj, whose input is scaled."""
    from peft.utils.constants import (
        TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING,
        TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING,
    )

    targets = choose_targets(llama, TrainSettings(task="text-generation", method="ia3"))
    assert sorted(targets.modules) == sorted(TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING["llama"])
    assert list(targets.feedforward) == TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING["llama"]


@pytest.mark.parametrize("wanted", ["query, value", "query、value", ".*(query|value)"])
def test_names_and_patterns(bert: tuple[Layer, ...], wanted: str) -> None:
    """Names may stand between any commas; a regular expression matches whole names."""
    targets = choose_targets(bert, TrainSettings(target_modules=wanted))
    assert targets.modules == ("query", "value")
    assert len(targets.layers) == 4


def test_a_name_for_one_layer_alone(bert: tuple[Layer, ...]) -> None:
    """A longer name takes one layer and not its namesakes."""
    targets = choose_targets(bert, TrainSettings(target_modules="layer.1.attention.self.query"))
    assert targets.modules == ("bert.encoder.layer.1.attention.self.query",)


@pytest.mark.parametrize("wanted", ["q_proj", "query, q_proj", "encoder.*query", "uery"])
def test_what_matches_nothing_is_refused_with_the_names(bert: tuple[Layer, ...], wanted: str) -> None:
    """The refusal says which layers there are."""
    with pytest.raises(InvalidInput, match="query, key, value, dense"):
        choose_targets(bert, TrainSettings(target_modules=wanted))


def test_a_broken_pattern_is_refused(bert: tuple[Layer, ...]) -> None:
    """A regular expression that is none is told as such."""
    with pytest.raises(InvalidInput) as refusal:
        choose_targets(bert, TrainSettings(target_modules="(query"))
    assert refusal.value.sentence.key == "error.train_targets_no_pattern"


@pytest.mark.parametrize(
    "settings",
    [
        TrainSettings(r=33),
        TrainSettings(method="adalora", init_r=33),
        TrainSettings(r=33, target_modules="query"),
    ],
)
def test_a_rank_above_the_layer_is_refused(bert: tuple[Layer, ...], settings: TrainSettings) -> None:
    """The layer, its size and the largest rank are named."""
    with pytest.raises(InvalidInput, match=r"32 × 32.*at most 32"):
        choose_targets(bert, settings)


def test_small_layers_are_left_alone_where_we_choose(llama: tuple[Layer, ...]) -> None:
    """A rank that fits most layers is no reason to refuse the run, unless the small one was named."""
    gate = Layer("model.layers.0.mlp.gate", 32, 4, 128)
    settings = TrainSettings(task="text-generation", r=16)
    assert gate not in choose_targets([*llama, gate], settings).layers
    with pytest.raises(InvalidInput, match="at most 4"):
        choose_targets([*llama, gate], TrainSettings(task="text-generation", r=16, target_modules="gate"))


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A BERT cannot translate, and a text model does not draw."""
    base = base_in(tiny_bert(tmp_path / "bert"))
    with pytest.raises(WrongTask, match="translation"):
        skeleton(base, find_train_task("translation"))
    with pytest.raises(WrongTask, match="UNet"):
        skeleton(base, find_train_task("text-to-image"))

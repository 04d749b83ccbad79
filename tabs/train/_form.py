"""The form of a training: what everybody chooses, and all other fields in groups that are built when they are opened.

A group's controls write what differs from its default into one text, `more`: the settings file in small. So the page
begins with a dozen components, programs may send any field, and a settings file can be pasted whole.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from core.errors import InvalidInput
from core.training.data.reading import EVERY_FORMAT
from core.training.data.samples import samples_for
from core.training.settings import TrainSettings
from core.training.tasks import LOW_RANK, NAMED_LAYERS, PREFIX, PROMPT, PROMPTS, QLORA, TRAIN_TASKS, find_train_task
from core.words import say
from tabs._events import QUIET, Endpoint, Visit, look_up
from tabs._form import control
from tabs._language import language_of, word
from tabs.train._columns import columns_controls

MAIN = ("task", "model", "method", "file", "dataset", "columns", "name", "validation_file")
"""Fields that are controls, and parameters, of their own; every other one travels in `more`."""
FILES = ("file", "validation_file")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "data": (
        *("kind", "dataset_config", "dataset_split", "validation_split", "validation_fraction", "max_samples"),
        *("max_length", "max_target_length", "source_prefix", "source_language", "target_language", "doc_stride"),
        *("assistant_only_loss", "mlm_probability", "packing", "resolution", "center_crop", "random_flip"),
    ),
    "method": (
        *("r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "use_dora", "init_r", "target_r"),
        *("num_virtual_tokens", "prefix_projection", "prompt_tuning_init_text"),
        *("bnb_4bit_quant_type", "bnb_4bit_use_double_quant", "train_text_encoder"),
    ),
    "optimisation": (
        *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "optim"),
        *("adam_beta1", "adam_beta2", "adam_epsilon", "label_smoothing_factor", "neftune_noise_alpha", "beta"),
        *("loss_type", "snr_gamma", "noise_offset", "use_ema", "seed"),
    ),
    "watching": (
        *("eval_strategy", "eval_steps", "save_strategy", "save_steps", "save_total_limit", "early_stopping_patience"),
        *("load_best_model_at_end", "metric_for_best_model", "logging_steps", "report_to", "sample_count"),
        *("validation_prompt", "max_new_tokens", "per_device_eval_batch_size"),
    ),
    "machine": (
        *("device", "precision", "gradient_checkpointing", "num_processes", "train_sampling_strategy"),
        *("dataloader_num_workers",),
    ),
}
_SPEECH, _PAIRS, _PICTURES = ("text-generation", "preference"), ("translation", "summarization"), ("text-to-image",)
OF_TASKS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("kind", "assistant_only_loss", "packing", "neftune_noise_alpha"), ("text-generation",)),
    **dict.fromkeys(("max_target_length", "source_prefix", "source_language", "target_language"), _PAIRS),
    **dict.fromkeys(("resolution", "center_crop", "random_flip", "train_text_encoder", "snr_gamma"), _PICTURES),
    **dict.fromkeys(("noise_offset", "use_ema"), _PICTURES),
    **dict.fromkeys(("sample_count", "validation_prompt"), (*_SPEECH, *_PAIRS, *_PICTURES)),
    **dict.fromkeys(("beta", "loss_type"), ("preference",)),
    "max_new_tokens": (*_SPEECH, *_PAIRS),
    "doc_stride": ("question-answering",),
    "mlm_probability": ("fill-mask",),
}
"""Fields that only some tasks have."""
OF_METHODS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("r", "use_dora"), ("lora", QLORA)),
    **dict.fromkeys(("lora_alpha", "lora_dropout", "use_rslora"), LOW_RANK),
    **dict.fromkeys(("init_r", "target_r"), ("adalora",)),
    **dict.fromkeys(("bnb_4bit_quant_type", "bnb_4bit_use_double_quant"), (QLORA,)),
    "target_modules": NAMED_LAYERS,
    "num_virtual_tokens": PROMPTS,
    "prefix_projection": (PREFIX,),
    "prompt_tuning_init_text": (PROMPT,),
}
"""Fields that only some methods have."""
FIRST = next(iter(TRAIN_TASKS))
DEFAULTS: Mapping[str, Any] = dataclasses.asdict(TrainSettings())

Controls = dict[str, Any]


def main_controls(bases: list[str]) -> tuple[Controls, gr.State]:
    """Make the controls that everybody needs, and what can be chosen as columns; `bases` are the first task's."""
    task = TRAIN_TASKS[FIRST]
    with gr.Row():
        made: Controls = {
            "task": gr.Dropdown(
                list(TRAIN_TASKS), value=FIRST, label=word("field.task"), min_width=220, elem_id="train-task"
            ),
            "method": gr.Dropdown(
                list(task.methods),
                value="lora",
                label=word("field.method"),
                info=word("field.method.info"),
                min_width=220,
                elem_id="train-method",
            ),
        }
    made["model"] = gr.Dropdown(
        bases,
        value=bases[0],
        allow_custom_value=True,
        label=word("field.model"),
        info=word("field.base.info"),
        elem_id="train-model",
    )
    made["dataset"] = gr.Dropdown(
        list(samples_for(FIRST)),
        value="",
        allow_custom_value=True,
        label=word("field.dataset"),
        info=word("field.dataset.info"),
        elem_id="train-dataset",
    )
    made["file"] = _upload("file", 140)
    made["columns"], held = columns_controls()
    return made, held


def further_controls() -> Controls:
    """Make what fewer people need: the run's name, a file to evaluate on, and all other fields as text."""
    return {
        "name": gr.Textbox("", label=word("field.run_name"), info=word("field.run_name.info"), elem_id="train-name"),
        "validation_file": _upload("validation_file", 140),
        "more": gr.Textbox(
            "", label=word("field.more"), info=word("field.more.info"), lines=3, max_lines=12, elem_id="train-more"
        ),
    }


def _upload(name: str, height: int) -> gr.File:
    label = word("field.train_file") if name == "file" else word("field.validation_file")
    return gr.File(label=label, file_types=list(EVERY_FORMAT), height=height, elem_id=f"train-{name}")


def groups(form: Controls) -> list[gr.Accordion]:
    """Lay out the groups; the controls of one are made when it is opened, for the task and method that are chosen."""
    folds = []
    for group in GROUPS:
        with gr.Accordion(word(f"train_group.{group}"), open=False, elem_id=f"train-group-{group}") as fold:
            shown = [form["task"], form["method"], form["more"]]
            gr.render(inputs=shown, triggers=[fold.expand], show_progress="hidden")(
                partial(_build, group, form["more"])
            )
        folds.append(fold)
    return folds


def _build(group: str, more: gr.Textbox, task: str, method: str, told: str) -> None:
    """Make the controls of a group as far as they fit, with the values that were chosen before."""
    language, held = language_of(LocalContext.request.get(None)), _chosen(told)
    made: Controls = {
        name: control(
            TrainSettings,
            name,
            label=name,
            info=say(f"say.train_field_{name}").in_language(language),
            value=held.get(name, DEFAULTS[name]),
            interactive=True,
            elem_id=f"train-{name}",
        )
        for name in GROUPS[group]
        if fits(name, task, method)
    }
    triggers = partial(gr.on, [one.input for one in made.values()])
    look_up(
        triggers,
        _merge,
        Endpoint("train_merge_more", {**made, "more": more}, [more], public=False),
        **QUIET,
    )


def fits(name: str, task: str, method: str) -> bool:
    """Tell whether a field means anything for this task and method."""
    return task in OF_TASKS.get(name, (task,)) and method in OF_METHODS.get(name, (method,))


def _merge(_: Visit, more: str, **values: Any) -> str:
    """Write what differs from its default among the other choices."""
    chosen = _chosen(more)
    for name, value in values.items():
        chosen.pop(name, None)
        if value is not None and value != DEFAULTS[name]:
            chosen[name] = value
    return json.dumps(chosen, ensure_ascii=False, indent=1) if chosen else ""


def _chosen(more: str) -> dict[str, Any]:
    """Return what the text holds; nothing while somebody types in it."""
    try:
        held = json.loads(more or "{}")
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def read_more(more: str) -> dict[str, Any]:
    """Return the fields in `more`; InvalidInput for what is no JSON object, or names a place on this machine."""
    try:
        held = json.loads(more.strip() or "{}")
    except ValueError as problem:
        raise InvalidInput("error.train_more_unreadable", reason=str(problem)) from problem
    if not isinstance(held, dict):
        raise InvalidInput("error.train_more_unreadable", reason=type(held).__name__)
    return {name: value for name, value in held.items() if name not in MAIN}


def settings_of(values: Mapping[str, Any]) -> TrainSettings:
    """Return the settings that a form's values mean; raises InvalidInput, or BadFile for a field there is not."""
    from core.training.settings import settings_from

    own = {name: str(values.get(name) or "") for name in MAIN}
    find_train_task(own["task"])
    return settings_from({**read_more(str(values.get("more") or "")), **own})


def method_chosen(_: Visit) -> tuple[Any, ...]:
    """Close the groups: other fields belong to the method."""
    return closed()


def closed() -> tuple[Any, ...]:
    """Return the updates that close every group."""
    return tuple(gr.Accordion(open=False) for _ in GROUPS)

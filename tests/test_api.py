"""The API as programs use it: names, defaults, formats, refusals in words, and what is closed."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from core.catalogue import TASKS
from core.settings import LIMITS, PROJECT
from core.words import dictionary, in_bytes, say
from tests.fakes.models import tiny_bert, tiny_chat
from tests.fakes.translators import tiny_marian, tiny_nllb
from tests.serving import Served, until

OPTIONS = ("device", "dtype", "attention", "attention_slicing", "quantisation")
LANGUAGES = ("source_language", "target_language")
TASK_ENDPOINTS = {
    "/text_classification": ("text", "model", "top_k", "function_to_apply"),
    "/zero_shot_classification": ("text", "labels", "model", "multi_label", "hypothesis_template"),
    "/token_classification": ("text", "model", "aggregation_strategy", "stride"),
    "/question_answering": (
        "question",
        "context",
        "model",
        "top_k",
        "handle_impossible_answer",
        "doc_stride",
        "max_seq_len",
        "max_answer_length",
        "align_to_words",
    ),
    "/text_generation": (
        "prompt",
        "max_new_tokens",
        "model",
        "do_sample",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "min_new_tokens",
        "num_return_sequences",
        "num_beams",
        "length_penalty",
        "early_stopping",
        "seed",
        "stop",
        "candidates",
    ),
    "/fill_mask": ("text", "model", "top_k", "targets"),
    "/summarization": ("text", "sentences", "model", "min_length", "max_length", "num_beams", "no_repeat_ngram_size"),
    "/translation": ("text", *LANGUAGES, "model", "num_beams", "max_new_tokens"),
    "/feature_extraction": ("text", "query", "model", "pooling", "normalize"),
    "/attention": ("text", "layer", "head", "model", "text_pair"),
    "/chat": (
        "message",
        "history",
        "model",
        "system_prompt",
        "max_new_tokens",
        "do_sample",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repetition_penalty",
        "no_repeat_ngram_size",
        "min_new_tokens",
        "num_beams",
        "length_penalty",
        "early_stopping",
        "seed",
        "stop",
    ),
}
"""The field's task names, with the field's parameter names; the wishes about device and dtype follow."""

DRAWING = (
    *("prompt", "negative_prompt", "model", "num_inference_steps", "guidance_scale", "num_images_per_prompt"),
    *("width", "height", "seed", "scheduler", "loras", "textual_inversions"),
    *("x_axis", "x_values", "y_axis", "y_values"),
    *("device", "dtype", "attention_slicing", "vae_slicing", "vae_tiling", "offload"),
)
IMAGE_ENDPOINTS = {
    "/text_to_image": DRAWING,
    "/image_to_image": ("image", "strength", *DRAWING),
    "/inpainting": ("image", "mask", "strength", "mask_blur", *DRAWING),
    "/controlnet": (
        *("image", "condition", "controlnet", "controlnet_conditioning_scale"),
        *("control_guidance_start", "control_guidance_end", "low_threshold", "high_threshold", "condition_model"),
        *DRAWING,
    ),
}
"""The same for pictures."""

ASKED_BY_ROWS = (
    *("labels", "question", *LANGUAGES, "targets", "sentences", "min_length", "max_length", "max_new_tokens"),
    "num_beams",
)
TRAINING = ("task", "method", "model", "dataset", "file", "columns", "name", "validation_file", "more")
EVALUATION = (
    *("task", "models", "dataset", "file", "metrics", "columns", "labels", "dataset_config", "dataset_split"),
    *(*LANGUAGES, "max_samples", "draws", "seed", "sentences", "max_new_tokens", "num_beams"),
    *("device", "dtype", "attention", "attention_slicing", "quantisation"),
)
OTHER_ENDPOINTS = {
    "/image_job": ("job",),
    "/image_stop": ("job",),
    "/pictures": ("first", "most"),
    "/picture_recipe": ("file",),
    "/picture_delete": ("picture",),
    "/pictures_download": ("pictures",),
    "/text_batch": ("file", "column", "task", "model", *ASKED_BY_ROWS, *OPTIONS),
    "/text_batch_job": ("job",),
    "/text_batch_stop": ("job",),
    "/train_data": (*TRAINING, "row"),
    "/train_plan": TRAINING,
    "/train_start": TRAINING,
    "/train_status": ("job",),
    "/train_stop": ("job",),
    "/train_resume": ("job",),
    "/train_merge": ("job",),
    "/train_compare": ("text", "question", "job"),
    "/train_export": ("job",),
    "/train_list": (),
    "/evaluate_run": ("job",),
    "/evaluate_start": EVALUATION,
    "/evaluate_status": ("job",),
    "/evaluate_stop": ("job",),
    "/evaluate_rows": ("job", "model", "other_model", "order", "expected", "predicted", "first"),
    "/evaluate_compare": ("job", "model", "other_job", "other_model"),
    "/metric_compute": (
        *("metric", "predictions", "references", "options", "file", "prediction_column", "reference_column"),
    ),
    "/runs_list": ("kind", "search", "tags", "sort", "descending", "limit"),
    "/runs_curves": ("jobs", "metric", "smoothing", "log_scale"),
    "/runs_figure": ("jobs", "metric", "smoothing", "log_scale", "figure", "model", "file_type"),
    "/runs_export": ("jobs", "file_type"),
    "/runs_tag": ("jobs", "tags"),
    "/runs_delete": ("jobs",),
    "/side_by_side": (
        *("task", "text", "question", "models", "max_new_tokens", "do_sample", "temperature", "seed"),
        *(*LANGUAGES, "blind"),
    ),
    "/side_by_side_vote": ("choice", "id"),
    "/ranking": ("task",),
    "/jobs_list": (),
    **dict.fromkeys(("/job_stop", "/job_resume", "/job_delete", "/job_log", "/job_result"), ("job",)),
    "/models_ledger": (),
    "/models_unload": ("resident",),
    "/models_unload_all": (),
    "/model_plan": ("model", "task", *OPTIONS),
    "/model_diagnosis": ("resident",),
    "/overview": (),
}
ENDPOINTS = {**{name: (*own, *OPTIONS) for name, own in TASK_ENDPOINTS.items()}, **IMAGE_ENDPOINTS, **OTHER_ENDPOINTS}
INPUTS = {
    "text",
    "labels",
    "question",
    "context",
    "file",
    "prompt",
    "message",
    "image",
    "mask",
    "validation_file",
    "choice",
}
"""What nobody can guess; every other parameter has a default."""

OPTIONAL = {
    "/text_batch": {"labels", "question"},
    "/train_compare": {"question"},
    "/evaluate_start": {"labels"},
    "/side_by_side": {"question"},
}
"""The same names where they may be left out."""

JOB_OUTPUTS = ["view", "job", "snippets", "result", "provenance"]
PICTURE_OUTPUTS = ["gallery", *JOB_OUTPUTS]
OUTPUTS = {
    **dict.fromkeys((*IMAGE_ENDPOINTS, "/image_job"), PICTURE_OUTPUTS),
    "/image_stop": ["state"],
    "/pictures": ["gallery", "result"],
    "/pictures_download": ["files"],
    **{name: ["view", "snippets", "result", "provenance"] for name in TASK_ENDPOINTS},
    "/text_generation": ["view", "snippets", "result", "provenance", "details"],
    "/text_batch": JOB_OUTPUTS,
    "/text_batch_job": JOB_OUTPUTS,
    "/text_batch_stop": ["state"],
    "/train_start": ["view", "job"],
    "/train_resume": ["view", "job"],
    "/evaluate_start": ["view", "job"],
    "/evaluate_run": ["view", "job"],
    "/train_export": ["files"],
    **{name: ["state"] for name in ("/train_stop", "/evaluate_stop", "/job_stop", "/job_resume", "/job_delete")},
    "/runs_figure": ["view", "files"],
    "/runs_export": ["files"],
    **{key: ["view"] for key in ("/runs_tag", "/runs_delete", "/job_log")},
    "/job_result": ["view", "files"],
    "/model_diagnosis": ["view", "result", "provenance"],
    "/overview": ["view"],
}
PROVENANCE = ["model", "revision", "adapter", "device", "dtype", "attention", "seed", "seconds", "fallbacks"]

MARKUP = "<script>alert(1)</script>"
LONG_BUT_ALLOWED = "word " * (LIMITS.text_characters // 5)
MEGABYTE = "a" * 1_000_000


@pytest.fixture(scope="session")
def client(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Give one client of the shared app; what it downloads goes with the run."""
    downloads = tmp_path_factory.mktemp("downloads")
    client = Client(served.address, ssl_verify=False, verbose=False, download_files=downloads)
    yield client
    client.close()


@pytest.fixture(scope="session")
def described(served: Served) -> dict[str, Any]:
    """Give what the app says about its endpoints."""
    found: dict[str, Any] = httpx.get(f"{served.address}/gradio_api/info").json()["named_endpoints"]
    return found


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give a tiny local model for each kind of head."""
    folder = tmp_path_factory.mktemp("models")
    heads = ("sequence-classification", "nli", "token-classification", "question-answering", "masked-lm")
    return {head: str(tiny_bert(folder / head, head)) for head in heads}


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny chat model."""
    return str(tiny_chat(tmp_path_factory.mktemp("models") / "chat"))


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small table with a blank cell and a formula."""
    path = tmp_path_factory.mktemp("tables") / "reviews.csv"
    path.write_text("id,review\n1,a great film\n2,\n3,=1+1\n4,很好看 🎬\n", encoding="utf-8")
    return path


def refusal(client: Client, /, *arguments: Any, api_name: str, **values: Any) -> str:
    """Return the sentence with which the app refuses; fails if it does not, or calls it a bug."""
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, api_name=api_name, **values)
    sentence = str(caught.value)
    assert not sentence.startswith(dictionary("en")["error.bug"].split("{")[0]), sentence
    return sentence


def beginning(key: str) -> str:
    """Return the words of a sentence up to its first value."""
    return dictionary("en")[key].split("{")[0]


# What there is


def test_endpoints_have_the_fields_names(described: dict[str, Any]) -> None:
    """Endpoints and their parameters are called as in transformers, and there are no others."""
    found = {name: tuple(one["parameter_name"] for one in about["parameters"]) for name, about in described.items()}
    assert found == ENDPOINTS


@pytest.mark.parametrize("name", ENDPOINTS)
def test_only_the_input_has_no_default(described: dict[str, Any], name: str) -> None:
    """Every parameter but the input itself may be left out."""
    needed = {one["parameter_name"] for one in described[name]["parameters"] if not one["parameter_has_default"]}
    optional = OPTIONAL.get(name, set())
    assert needed == (INPUTS & set(ENDPOINTS[name])) - optional


@pytest.mark.parametrize("name", ENDPOINTS)
def test_outputs_are_labelled_in_order(described: dict[str, Any], name: str) -> None:
    """First what a person looks at, then the result, its provenance, and what else only some tasks tell."""
    assert [one["label"] for one in described[name]["returns"]] == OUTPUTS.get(name, ["view", "result"])


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_endpoint_is_described_in_a_sentence(described: dict[str, Any], name: str) -> None:
    """What an endpoint does can be read where it is listed."""
    description = described[name]["description"]
    assert len(description.split()) > 4
    assert description.endswith(".")


# What comes back


def test_an_evaluation_from_its_start_to_its_rows(client: Client, models: dict[str, str]) -> None:
    """A job is started, asked for its numbers, its rows and a comparison; what is missing is refused in words."""
    both = [models["sequence-classification"], "starter/sentiment"]
    form = {"models": both, "dataset": "samples/reviews", "max_samples": 8, "draws": 100, "file": None}
    missing = dictionary("en")["error.evaluate_no_data"]
    assert refusal(client, **{**form, "dataset": ""}, api_name="/evaluate_start") == missing
    _, job = client.predict(api_name="/evaluate_start", **form)
    until(lambda: client.predict(job, api_name="/evaluate_status")[1]["state"] not in {"queued", "running"}, 300)
    found = client.predict(job, api_name="/evaluate_status")[1]
    assert found["state"] == "succeeded"
    assert [one["n"] for one in found["evaluation"]["models"]] == [8, 8]
    _, rows = client.predict(job, order="in_order", other_model=both[1], api_name="/evaluate_rows")
    assert (rows["total"], rows["models"]) == (8, both)
    _, compared = client.predict(job, api_name="/evaluate_compare")
    assert compared["sentence"] == found["evaluation"]["comparisons"][0]["sentence"]
    assert client.predict(job, api_name="/evaluate_stop") == "succeeded"
    values = {"predictions": ["a", "b"], "references": ["a", "a"], "file": None}
    assert client.predict(metric="accuracy", **values, api_name="/metric_compute")[1]["values"] == {"accuracy": 0.5}


def test_a_training_from_its_start_to_its_zip(client: Client, models: dict[str, str]) -> None:
    """Programs look at the data, start, ask until it is over, put a text to base and run, and take the run along."""
    more = '{"max_steps": 2, "device": "cpu", "learning_rate": 0.05}'
    form = {"file": None, "validation_file": None, "dataset": "samples/reviews", "name": "by-api", "more": more}
    form |= {"model": models["sequence-classification"], "columns": "text=text"}
    assert client.predict(api_name="/train_data", **form)[1]["columns"] == {"text": "text", "label": "label"}
    _, job = client.predict(api_name="/train_start", **form)
    unfinished = str(say("error.run_unfinished", name="run/by-api"))
    assert unfinished in refusal(client, "a film", job=job, api_name="/train_compare")
    until(lambda: client.predict(job, api_name="/train_status")[1]["state"] not in {"queued", "running"}, 300)
    assert client.predict(job, api_name="/train_status")[1]["state"] == "succeeded"
    view, both = client.predict("a film", job=job, api_name="/train_compare")
    assert (both["base"]["model"], both["adapted"]["model"]) == (form["model"], "run/by-api")
    assert {one["label"] for one in both["adapted"]["result"]} == {"positive", "negative"}
    assert "run/by-api" in view
    packed = client.predict(job, api_name="/train_export")["value"]
    with zipfile.ZipFile(packed) as opened:
        assert "adapter_model.safetensors" in opened.namelist()
    row = next(one for one in client.predict(api_name="/train_list")[1] if one["job"] == job)
    assert (row["name"], row["state"]) == ("by-api", "succeeded")


def test_text_classification_answers_like_the_pipeline(served: Served, client: Client, models: dict[str, str]) -> None:
    """`result` is what transformers.pipeline returns for the same model and text."""
    import transformers

    folder = models["sequence-classification"]
    view, code, result, provenance = client.predict("a great film", model=folder, api_name="/text_classification")
    expected = transformers.pipeline("text-classification", model=folder, top_k=None)(["a great film"])[0]
    assert [one["label"] for one in result] == [one["label"] for one in expected]
    assert [one["score"] for one in result] == pytest.approx([one["score"] for one in expected], abs=1e-5)
    assert list(provenance) == PROVENANCE
    assert provenance["model"] == folder
    assert result[0]["label"] in view
    assert "```python" in code
    assert served.address in code
    assert "/gradio_api/call/text_classification" in code


def test_zero_shot_answers_like_the_pipeline(client: Client, models: dict[str, str]) -> None:
    """`result` has the pipeline's sequence, labels and scores."""
    import transformers

    answer = client.predict("we love london", "travel, film", model=models["nli"], api_name="/zero_shot_classification")
    pipeline = transformers.pipeline("zero-shot-classification", model=models["nli"])
    expected = pipeline("we love london", ["travel", "film"])
    assert set(answer[2]) == set(expected)
    assert dict(zip(answer[2]["labels"], answer[2]["scores"], strict=True)) == pytest.approx(
        dict(zip(expected["labels"], expected["scores"], strict=True)), abs=1e-5
    )


def test_token_classification_answers_like_the_pipeline(client: Client, models: dict[str, str]) -> None:
    """`result` is the pipeline's list of entity groups."""
    import transformers

    folder, text = models["token-classification"], "ada lovelace lives in london."
    answer = client.predict(text, model=folder, api_name="/token_classification")
    expected = transformers.pipeline("token-classification", model=folder, aggregation_strategy="simple")(text)
    assert [(one["entity_group"], one["start"], one["end"]) for one in answer[2]] == [
        (one["entity_group"], one["start"], one["end"]) for one in expected
    ]
    assert all(set(one) == {"entity_group", "score", "word", "start", "end"} for one in answer[2])


def test_fill_mask_answers_like_the_pipeline(client: Client, models: dict[str, str]) -> None:
    """`result` is the pipeline's: candidates for one gap, a list of those for several, chosen among the targets."""
    import transformers

    folder, pipeline = models["masked-lm"], transformers.pipeline("fill-mask", model=models["masked-lm"])
    for text, values in (("the film was [MASK]", {"top_k": 2}), ("<mask> and [MASK]", {"targets": "good, bad"})):
        view, code, result, _ = client.predict(text, model=folder, api_name="/fill_mask", **values)
        targets = {"targets": values["targets"].split(", ")} if "targets" in values else values
        expected = pipeline(text.replace("<mask>", "[MASK]"), **targets)
        assert [_without_score(one) for one in result] == [_without_score(one) for one in expected]
        assert "data-choice" in view
        assert '"fill-mask",' in code


def _without_score(one: Any) -> Any:
    if isinstance(one, list):
        return [_without_score(part) for part in one]
    assert 0 < one["score"] < 1
    return {name: value for name, value in one.items() if name != "score"}


def test_a_chat_goes_on_in_one_call_each(client: Client, chat_model: str) -> None:
    """`result` is the pipeline's conversation with its answer, and the next call's history; both are streamed."""
    import transformers

    asked = {"model": chat_model, "max_new_tokens": 12, "do_sample": False}
    view, code, result, provenance = client.predict("Hi <b>", system_prompt="Be kind.", api_name="/chat", **asked)
    said = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi <b>"}]
    write = transformers.pipeline("text-generation", model=chat_model, device="cpu")
    ends = [write.model.generation_config.eos_token_id, write.tokenizer.convert_tokens_to_ids("<|im_end|>")]
    assert result == write(said, do_sample=False, max_new_tokens=12, eos_token_id=ends)
    assert provenance["model"] == chat_model
    assert "<b>" not in view
    assert "/gradio_api/call/v2/chat" in code
    history = result[0]["generated_text"]
    again = client.submit("And you?", history=history, api_name="/chat", **{**asked, "max_new_tokens": 150})
    whole = again.result(timeout=120)
    assert [one["role"] for one in whole[2][0]["generated_text"]] == [
        *(one["role"] for one in history),
        "user",
        "assistant",
    ]
    assert len(again.outputs()) > 1
    by_json = client.predict("And you?", history=json.dumps(history), api_name="/chat", **asked)
    assert by_json[2][0]["generated_text"][:-1] == whole[2][0]["generated_text"][:-1]


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"message": "  "}, "error.text_empty"),
        ({"history": [{"role": "robot", "content": "x"}]}, "error.history_bad_message"),
        ({"history": "nonsense"}, "error.history_no_list"),
        ({"model": "starter/nothing"}, "error.unknown_starter"),
    ],
)
def test_a_chat_refuses_in_words(client: Client, values: dict[str, Any], key: str) -> None:
    """What is no conversation is answered with what one looks like."""
    assert refusal(client, api_name="/chat", **{"message": "Hi", **values}).startswith(beginning(key))


def test_question_answering_answers_as_the_old_pipeline_did(client: Client, models: dict[str, str]) -> None:
    """`result` has answer, score, start and end, and the answer stands there in the context."""
    context = "ada lovelace lives in london"
    answer = client.predict(
        "who lives in london?", context, model=models["question-answering"], api_name="/question_answering"
    )
    found = answer[2]
    assert set(found) == {"answer", "score", "start", "end"}
    assert context[found["start"] : found["end"]] == found["answer"]


def test_translation_answers_as_the_old_pipeline_did(client: Client, tmp_path: Path) -> None:
    """`result` has the pipeline's translation_text, and a model of several languages asks which are meant."""
    text = "A cat.\n\n- No!"
    answer = client.predict(text, model=str(tiny_marian(tmp_path / "one")), api_name="/translation")
    (found,) = answer[2]
    assert list(found) == ["translation_text"]
    assert found["translation_text"].count("\n") == 2
    assert "\n\n- " in found["translation_text"]
    several = str(tiny_nllb(tmp_path / "several"))
    assert "set source_language to one of" in refusal(client, text, model=several, api_name="/translation")
    named = {"source_language": "en", "target_language": "French"}
    told = client.predict(text, model=several, **named, api_name="/translation")
    assert "eng_Latn → fra_Latn" in told[0]


def test_seed_free_answers_are_the_same_again(client: Client, models: dict[str, str]) -> None:
    """The same text and model give the same scores, to the last digit."""
    folder = models["sequence-classification"]
    first, second = (client.predict("not bad", model=folder, api_name="/text_classification")[2] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("text", ["🎬🍿👩‍👩‍👧‍👦 " * 50, "הסרט \u202eהיה נהדר\u202c", "\x00null", "a" * 20_000, MARKUP])
def test_odd_texts_are_answered(client: Client, models: dict[str, str], text: str) -> None:
    """Emoji, right-to-left writing, a zero byte, one endless word and markup are texts like any other."""
    answer = client.predict(text, model=models["sequence-classification"], api_name="/text_classification")
    assert {one["label"] for one in answer[2]} == {"NEGATIVE", "POSITIVE"}
    assert "<script>" not in answer[0]


def test_a_cut_text_is_announced(client: Client, models: dict[str, str]) -> None:
    """What the model could not read is said in the view and in the provenance."""
    answer = client.predict(LONG_BUT_ALLOWED, model=models["sequence-classification"], api_name="/text_classification")
    assert [note for note in answer[3]["fallbacks"] if note.startswith(beginning("say.text_cut"))]
    assert beginning("say.text_cut") in answer[0]


# What is refused, in words


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u3000"])
def test_blank_text_is_refused(client: Client, text: str) -> None:
    """A text of white space alone is answered with the sentence that says what to do."""
    expected = say("error.text_empty", name="text", limit=LIMITS.text_characters)
    assert refusal(client, text, api_name="/text_classification") == str(expected)


def test_a_megabyte_is_refused_with_the_numbers(client: Client) -> None:
    """A text over the limit is answered with its length and the limit."""
    expected = say("error.text_too_long", name="text", length=len(MEGABYTE), limit=LIMITS.text_characters)
    assert refusal(client, MEGABYTE, api_name="/text_classification") == str(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [("top_k", 0), ("top_k", 1e9), ("dtype", "float8"), ("function_to_apply", "tanh"), ("attention", "")],
)
def test_values_outside_the_limits_are_refused(client: Client, name: str, value: Any) -> None:
    """A number or choice outside its limits is refused by its control, which names the value."""
    sentence = refusal(client, "fine", api_name="/text_classification", **{name: value})
    assert str(value) in sentence


@pytest.mark.parametrize(
    ("device", "key"),
    [("abacus", "error.not_a_device"), ("cuda:77", "error.no_such_device"), ("", "error.not_a_device")],
)
def test_unknown_devices_are_refused(client: Client, device: str, key: str) -> None:
    """A device that is none, or that this machine lacks, is refused by the planner in words."""
    assert refusal(client, "fine", device=device, api_name="/text_classification").startswith(beginning(key))


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("nobody/nothing", "error.hub_offline"),
        ("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "error.hub_offline"),
        ("../../etc/passwd", "error.no_such_folder"),
        ("/etc/passwd", "error.no_such_folder"),
        ("two words; rm -rf", "error.bad_model_name"),
        ("starter/../../core", "error.unknown_starter"),
        ("starter/nothing", "error.unknown_starter"),
        ("nobody/nothing@..", "error.hub_invalid_revision"),
    ],
)
def test_unusable_model_names_are_refused(client: Client, model: str, key: str) -> None:
    """A name that cannot be loaded is answered with what is wrong about it."""
    sentence = refusal(client, "fine", model=model, api_name="/text_classification")
    assert sentence.startswith(beginning(key)), sentence
    assert "root:" not in sentence


def test_a_folder_without_a_model_is_refused(client: Client, tmp_path: Path) -> None:
    """A folder that holds no config.json is named as such."""
    expected = say("error.folder_without_config", folder=str(tmp_path))
    assert refusal(client, "fine", model=str(tmp_path), api_name="/text_classification") == str(expected)


def test_pickled_weights_are_refused(client: Client, models: dict[str, str], tmp_path: Path) -> None:
    """A folder with pickled weights alone is never opened."""
    folder = tmp_path / "pickled"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_bytes((Path(models["sequence-classification"]) / name).read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch boom'\ntR.")
    sentence = refusal(client, "fine", model=str(folder), api_name="/text_classification")
    assert sentence == str(say("error.only_pickles", files="pytorch_model.bin"))


def test_a_model_of_another_task_is_refused(client: Client, models: dict[str, str]) -> None:
    """A model that was made for something else is not asked."""
    sentence = refusal(client, "fine", model=models["token-classification"], api_name="/text_classification")
    assert "text-classification" in sentence
    assert models["token-classification"] in sentence


def test_the_app_answers_after_all_these(client: Client) -> None:
    """No refusal leaves the server unable to answer with its starter."""
    answer = client.predict("I loved every minute of it.", api_name="/text_classification")
    assert answer[2][0]["label"].upper().startswith("POS")
    assert answer[3]["model"] == TASKS["text-classification"].starter


# Files


def test_a_table_comes_back_with_its_answers(client: Client, models: dict[str, str], table: Path) -> None:
    """A batch gives a CSV with the original columns in order, one answer a row, blank rows kept, no live formula."""
    _, job, _, files, provenance = client.predict(
        handle_file(table), model=models["sequence-classification"], api_name="/text_batch"
    )
    assert sorted(Path(file).suffix for file in files) == [".csv", ".parquet"]
    with Path(next(file for file in files if file.endswith(".csv"))).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "review", "label", "score", "status"]
    assert [row["status"] for row in rows] == ["ok", "blank", "ok", "ok"]
    assert [row["review"] for row in rows] == ["a great film", "", "'=1+1", "很好看 🎬"]
    assert provenance["model"] == models["sequence-classification"]
    assert client.predict(job, api_name="/text_batch_job")[1] == job


@pytest.mark.parametrize(
    ("old", "head", "column"),
    [
        ("sentiment-analysis", "sequence-classification", "label"),
        ("ner", "token-classification", "entities"),
        ("text_classification", "sequence-classification", "label"),
    ],
)
def test_old_task_names_are_understood(
    client: Client, models: dict[str, str], table: Path, old: str, head: str, column: str
) -> None:
    """The names of the cheat sheets work as `task`."""
    files = client.predict(handle_file(table), task=old, model=models[head], api_name="/text_batch")[3]
    assert column in Path(files[0]).read_text(encoding="utf-8-sig").splitlines()[0]


def test_a_batch_that_fails_is_an_error(client: Client, models: dict[str, str], table: Path) -> None:
    """A program whose batch fails is told so, as of any refusal; asking for that job again shows what there is."""
    asked = {"task": "question-answering", "question": "good " * 190, "model": models["question-answering"]}
    told = refusal(client, handle_file(table), **asked, api_name="/text_batch")
    assert told.startswith(beginning("error.batch_nothing_answered"))
    assert client.predict("", api_name="/text_batch_job")[1]


def test_a_missing_column_is_refused_with_those_there_are(client: Client, table: Path) -> None:
    """A column that the file lacks is refused at once, naming the columns."""
    expected = say("error.no_such_column", column="opinion", columns="id, review")
    assert refusal(client, handle_file(table), column="opinion", api_name="/text_batch") == str(expected)


def test_a_damaged_parquet_is_refused(client: Client, tmp_path: Path) -> None:
    """A file whose bytes are not what its name says is called damaged."""
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 this is no table PAR1")
    expected = say("error.damaged_file", file="broken.parquet", kind="Parquet")
    assert refusal(client, handle_file(path), api_name="/text_batch") == str(expected)


def test_a_huge_table_is_refused_with_its_size(client: Client, tmp_path: Path) -> None:
    """A CSV of 50 MB is refused with its size and the limit."""
    path = tmp_path / "huge.csv"
    path.write_bytes(b"text\n" + b"0123456789 a row of text 0123456789 abcdefghijkl\n" * 1_020_000)
    limit, size = in_bytes(LIMITS.upload_bytes), in_bytes(path.stat().st_size)
    expected = say("error.file_too_big", file="huge.csv", size=size, limit=limit)
    assert refusal(client, handle_file(path), api_name="/text_batch") == str(expected)


def test_a_file_larger_than_any_upload_is_turned_away(served: Served) -> None:
    """An upload over four times the limit is not even stored."""
    too_large = 4 * LIMITS.upload_bytes + 1_000_000
    answer = httpx.post(
        f"{served.address}/gradio_api/upload", files={"files": ("large.csv", b"a" * too_large)}, timeout=60
    )
    assert answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize("name", ["notes.docx", "table.csv.exe", "table"])
def test_other_kinds_of_files_are_refused(client: Client, tmp_path: Path, name: str) -> None:
    """A file of another kind is refused with the kinds that can be read."""
    path = tmp_path / name
    path.write_text("text\nhello\n")
    assert ".csv" in refusal(client, handle_file(path), api_name="/text_batch")


def test_a_batch_without_a_file_is_refused(client: Client) -> None:
    """No file at all is answered with the formats."""
    assert refusal(client, None, api_name="/text_batch").startswith(beginning("error.file_missing"))


@pytest.mark.parametrize("path", ["/etc/passwd", str(PROJECT / "app.py"), str(PROJECT / "README.md")])
def test_a_path_on_the_server_is_no_upload(client: Client, path: str) -> None:
    """Naming a server's file instead of uploading one gives nothing of it away."""
    with pytest.raises(AppError) as caught:
        client.predict({"path": path, "meta": {"_type": "gradio.FileData"}}, api_name="/text_batch")
    assert "root:" not in str(caught.value)
    assert "import" not in str(caught.value)


@pytest.mark.parametrize("job", ["0" * 32, "../../etc", "nonsense", "🎬"])
def test_unknown_jobs_are_one_and_the_same(client: Client, job: str) -> None:
    """A job that never was, a malformed id and a path are refused alike."""
    for name in ("/text_batch_job", "/text_batch_stop"):
        assert refusal(client, job, api_name=name) == dictionary("en")["error.job_unknown"]


# Models


def test_the_ledger_shows_a_model_until_it_is_unloaded(client: Client, models: dict[str, str]) -> None:
    """A model that answered is in the ledger with its bytes; unloading says how many came back."""
    client.predict("fine", model=models["sequence-classification"], api_name="/text_classification")
    _, ledger = client.predict(api_name="/models_ledger")
    row = next(row for row in ledger["models"] if row["name"] == models["sequence-classification"])
    assert row["measured_bytes"] > 0
    _, freed = client.predict(row["id"], api_name="/models_unload")
    assert [one["name"] for one in freed] == [row["name"]]
    assert freed[0]["tensor_bytes"] > 0
    names = [row["name"] for row in client.predict(api_name="/models_ledger")[1]["models"]]
    assert models["sequence-classification"] not in names
    assert refusal(client, row["id"], api_name="/models_unload") == dictionary("en")["error.not_resident"]


def test_a_plan_is_made_without_loading(client: Client, models: dict[str, str]) -> None:
    """A plan tells parameters, device and bytes, and loads nothing."""
    client.predict(api_name="/models_unload_all")
    _, plan = client.predict(models["nli"], "zero-shot-classification", api_name="/model_plan")
    assert plan["parameters"] > 0
    assert plan["placement"]["device"]
    assert plan["placement"]["predicted_bytes"] > 0
    assert client.predict(api_name="/models_ledger")[1]["models"] == []


def test_a_plan_for_a_nonsense_name_is_refused(client: Client) -> None:
    """A plan for a name that is none is answered with what a name looks like."""
    sentence = refusal(client, "no such; model", api_name="/model_plan")
    assert sentence.startswith(beginning("error.bad_model_name"))


def test_a_diagnosis_looks_into_a_loaded_model(client: Client, models: dict[str, str]) -> None:
    """A diagnosis counts parameters and times forward passes of a model in memory."""
    client.predict("fine", model=models["sequence-classification"], api_name="/text_classification")
    row = next(
        row
        for row in client.predict(api_name="/models_ledger")[1]["models"]
        if row["name"] == models["sequence-classification"]
    )
    _, result, provenance = client.predict(row["id"], api_name="/model_diagnosis")
    assert result["parameters"] > 0
    assert result["labels"] == ["NEGATIVE", "POSITIVE"]
    assert 0 < result["latency_min_seconds"] <= result["latency_median_seconds"] <= result["latency_max_seconds"]
    assert provenance["model"] == models["sequence-classification"]
    assert refusal(client, "nothing", api_name="/model_diagnosis") == dictionary("en")["error.not_resident"]


# What is closed


@pytest.mark.parametrize("name", ENDPOINTS)
def test_nothing_goes_round_the_queue(served: Served, name: str) -> None:
    """`/run/...` would skip the queue and its limits, so it is closed for all that computes."""
    answer = httpx.post(f"{served.address}/gradio_api/run{name}", json={"data": []})
    assert answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED} or name in LOOKS


LOOKS = {"/pictures", "/models_ledger", "/overview", "/train_list", "/jobs_list"}
"""Quick looks that refuse nothing and never wait in the queue, and so may be asked directly."""


@pytest.mark.parametrize(
    "path",
    ["/openapi.json", "/docs", "/redoc", "/monitoring/summary", "/gradio_api/monitoring/summary", "/gradio_api/runs"],
)
def test_maintenance_routes_are_closed(served: Served, path: str) -> None:
    """What only the people behind the server need is not there."""
    assert httpx.get(f"{served.address}{path}").status_code in {403, 404}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "app.py",
            "requirements.txt",
            "core/settings.py",
            ".git/config",
            "./app.py",
            "tabs/../app.py",
            "%2e%2e/%2e%2e/etc",
        ),
        *(str(PROJECT / "app.py"), str(PROJECT / "README.md"), "/etc/passwd", "//etc/passwd", "../../../etc/passwd"),
    ],
)
def test_files_of_the_project_cannot_be_fetched(served: Served, path: str) -> None:
    """Neither source nor system files leave through the file route."""
    for route in ("/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/"):
        answer = httpx.get(f"{served.address}{route}{path}")
        assert answer.status_code in {400, 403, 404, 405}, route


def test_jobs_cannot_be_fetched_as_files(served: Served, client: Client, models: dict[str, str], table: Path) -> None:
    """A job's folder lies outside what the file route serves."""
    _, job, *_ = client.predict(handle_file(table), model=models["sequence-classification"], api_name="/text_batch")
    record = served.home / "jobs" / job / "job.json"
    assert json.loads(record.read_text(encoding="utf-8"))["kind"] == "text_batch"
    assert httpx.get(f"{served.address}/gradio_api/file={record}").status_code == httpx.codes.FORBIDDEN


def test_the_log_tells_of_no_bug(served: Served, client: Client) -> None:
    """After all of these requests nothing in the server's log is called a bug."""
    client.predict(api_name="/models_ledger")
    assert "A bug, please report it" not in served.logged()

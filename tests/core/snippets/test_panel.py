"""The code panel is run as a reader would run it: Python in a process of its own, curl by bash against a real app."""

from __future__ import annotations

import ast
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from core.atelier import open_atelier
from core.catalogue import find_task, starter_names
from core.models.loading import starter_base_folder
from core.models.registry import Registry
from core.provenance import Provenance
from core.settings import PROJECT, Settings
from core.snippets import curl_snippet, python_snippet, snippets_markdown
from core.snippets.panel import given
from core.tasks.text.attention import AttentionSettings, map_attention
from core.tasks.text.feature_extraction import FeatureExtractionSettings, extract_features
from core.tasks.text.fill_mask import FillMaskSettings, fill_masks
from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_question
from core.tasks.text.summarization import SummarizationSettings, summarize
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.tasks.text.text_generation import TextGenerationSettings, generate_text
from core.tasks.text.token_classification import TokenClassificationSettings, classify_tokens
from core.tasks.text.translation import TranslationSettings, translate
from core.tasks.text.zero_shot_classification import ZeroShotClassificationSettings, classify_zero_shot
from core.words import say
from tests.fakes.models import tiny_bert, tiny_llama, tiny_t5
from tests.fakes.translators import tiny_m2m, tiny_marian, tiny_marian_of_targets, tiny_nllb

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks

TOLERANCE = 1e-3
REVIEW = 'It wasn\'t "bad":\n我很喜歡 this film, C:\\new, 😀 ```.'
ENTITIES = "Ada Lovelace lives in London and works in Paris."
STORY = (
    "The old iron bridge was built in Porto. It was designed by Elena Duarte, an engineer, and opened to the public "
    "in 1886. Every spring the town paints it green again, and the children of both banks count its bolts. "
)
LONG_STORY = " ".join(STORY.replace("1886", str(year)).replace("Porto", f"Porto {year}") for year in range(1886, 1900))

SKILLS = {
    "text-classification": (TextClassificationSettings, classify_text),
    "zero-shot-classification": (ZeroShotClassificationSettings, classify_zero_shot),
    "token-classification": (TokenClassificationSettings, classify_tokens),
    "question-answering": (QuestionAnsweringSettings, answer_question),
    "feature-extraction": (FeatureExtractionSettings, extract_features),
    "summarization": (SummarizationSettings, summarize),
    "attention": (AttentionSettings, map_attention),
    "fill-mask": (FillMaskSettings, fill_masks),
    "text-generation": (TextGenerationSettings, generate_text),
    "translation": (TranslationSettings, translate),
}
FAKES = {
    "text-classification": "sequence-classification",
    "zero-shot-classification": "nli",
    "token-classification": "token-classification",
    "question-answering": "question-answering",
    "fill-mask": "masked-lm",
}
"""Which tiny model stands in while a task's starter is not there; encoders have their base itself."""

CASES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("text-classification", {"text": REVIEW}),
    ("text-classification", {"text": "I love it. " * 300, "top_k": 1, "function_to_apply": "sigmoid"}),
    ("text-classification", {"text": "Never again.", "attention": "sliced", "dtype": "bfloat16"}),
    ("zero-shot-classification", {"text": "How long do I boil the potatoes?", "labels": "travel, cooking，cars"}),
    (
        "zero-shot-classification",
        {"text": "My car \\ " * 400, "labels": "cars", "multi_label": True, "hypothesis_template": "It's about {}."},
    ),
    ("token-classification", {"text": ENTITIES}),
    ("token-classification", {"text": ENTITIES, "aggregation_strategy": "none"}),
    ("token-classification", {"text": ENTITIES, "aggregation_strategy": "average"}),
    ("question-answering", {"question": "Where was the bridge built?", "context": STORY, "doc_stride": 40}),
    ("question-answering", {"question": "Who designed the bridge?", "context": STORY, "doc_stride": 40, "top_k": 4}),
    (
        "question-answering",
        {
            "question": "Who is the king?",
            "context": STORY,
            "doc_stride": 40,
            "top_k": 3,
            "handle_impossible_answer": True,
            "align_to_words": False,
            "max_answer_length": 5,
        },
    ),
    (
        "question-answering",
        {"question": "When was it opened?", "context": LONG_STORY, "max_seq_len": 100, "doc_stride": 30, "top_k": 2},
    ),
    ("feature-extraction", {"text": "How do I log in?\n\n我忘了密碼\n  The soup needs more salt.  "}),
    ("feature-extraction", {"text": f"{STORY * 10}\nShort.", "pooling": "max", "normalize": False}),
    ("feature-extraction", {"text": "One line.\nAnother.", "pooling": "cls"}),
    ("feature-extraction", {"text": "One line.\nAnother one.", "pooling": "none"}),
    ("summarization", {"text": STORY, "sentences": 1}),
    ("summarization", {"text": f"{LONG_STORY}\nMr. Lee of the U.S. agreed.\nA line\nthat goes on " + "and on " * 200}),
    ("summarization", {"text": "橋建於波多。它由艾蓮娜設計。每年春天都漆成綠色。「孩子們數螺栓。」大家都很高興。"}),
    ("summarization", {"text": "Only this.\n\nAnd that.", "sentences": 2}),
    ("summarization", {"text": "Only this.\n\nAnd that.", "max_length": 9}),
    ("summarization", {"text": "橋建於波多。它由艾蓮娜設計。每年春天都漆成綠色。", "sentences": 3, "max_length": 18}),
    ("summarization", {"text": STORY, "max_length": 40, "num_beams": 2}),
    ("summarization", {"text": LONG_STORY, "sentences": 5, "max_length": 2}),
    ("summarization", {"text": LONG_STORY, "model": "t5", "no_repeat_ngram_size": 2}),
    ("summarization", {"text": "A short one.", "model": "t5", "min_length": 5, "num_beams": 1}),
    ("summarization", {"text": STORY, "model": "marian"}),
    ("attention", {"text": "Unbelievable, 我 agree.", "layer": 2, "head": 3}),
    ("attention", {"text": LONG_STORY, "text_pair": "Who is it?", "dtype": "bfloat16"}),
    ("attention", {"text": ENTITIES, "layer": 6, "model": "starter/nli"}),
    ("feature-extraction", {"text": "I love it.\nNever again.", "model": "starter/sentiment"}),
    ("feature-extraction", {"text": ENTITIES, "pooling": "none", "model": "starter/entities"}),
    ("summarization", {"text": LONG_STORY, "model": "starter/sentiment"}),
    ("summarization", {"text": f"{STORY * 4}\nNobody liked the soup.", "sentences": 5}),
    ("text-classification", {"text": "A good film.", "top_k": 3, "model": "adapter"}),
    ("text-generation", {"prompt": "Once upon", "model": "llama", "max_new_tokens": 20}),
    ("text-generation", {"prompt": "x" * 300, "model": "llama", "max_new_tokens": 20, "top_k": 0, "stop": "q"}),
    ("text-generation", {"prompt": "It's", "model": "llama", "do_sample": False, "num_beams": 3}),
    ("attention", {"text": "A good film.", "layer": 2, "head": 1, "model": "adapter"}),
    ("fill-mask", {"text": 'It wasn\'t a "<mask>" film.'}),
    ("fill-mask", {"text": "The [MASK] was [MASK], not bad.", "top_k": 3, "targets": "Film, good, doghouse"}),
    ("fill-mask", {"text": f"{LONG_STORY} The town paints it [MASK] again. {LONG_STORY}"}),
)
CASES += tuple(
    ("translation", {"model": model, **values})
    for model, values in (
        ("marian", {"text": "Where is the station?"}),
        ("marian", {"text": f'# News\n\n{STORY}\n  - Dr. {{Lee}} agreed.  "Twice"!\n', "num_beams": 1}),
        ("marian", {"text": f"A letter that was wrapped\nat its {'long ' * 30}lines, as it\nwas. Bye.\n\n1, 2"}),
        ("marian", {"text": "1, 2, 3\n"}),
        ("nllb", {"text": STORY, "source_language": "en", "target_language": "zh-TW", "max_new_tokens": 6}),
        ("m2m", {"text": "A cat.", "source_language": "English", "target_language": "ko"}),
        ("targets", {"text": "A cat. No!", "target_language": "fr"}),
        ("t5", {"text": "A cat. No!", "source_language": "en", "target_language": "de", "max_new_tokens": 9}),
    )
)
STANDARD = {"collections.abc", "dataclasses", "importlib.metadata", "json", "math", "re"}
LONG_CASE = ("token-classification", {"text": f"{ENTITIES} " * 80, "stride": 32})
"""Here the pipeline's windows and ours may differ a little."""

RUN_ALL = """
import contextlib, io, json, sys
for program in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, "snippet", "exec"), {"__name__": "__main__"})
    print(json.dumps(printed.getvalue()))
"""


@dataclass(frozen=True)
class Asked:
    """One request and what our skill answered."""

    task: str
    settings: Any
    answer: Any

    @property
    def python(self) -> str:
        """The code panel's Python."""
        return python_snippet(self.task, self.settings, self.answer)


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give the registry of a local instance."""
    return open_atelier(Settings()).registry


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Folders of tiny models, for tasks whose starter is not there; a starter that is there goes by its own name."""
    folder = tmp_path_factory.mktemp("models")
    missing = {task: head for task, head in FAKES.items() if find_task(task).starter not in starter_names()}
    tiny = {task: str(tiny_bert(folder / task, head)) for task, head in missing.items()}
    encoders = () if "starter/embeddings" in starter_names() else ("feature-extraction", "summarization", "attention")
    named = {name: name for name in starter_names()}
    encoder = dict.fromkeys(encoders, str(starter_base_folder()))
    own = {
        "llama": str(tiny_llama(folder / "llama")),
        "t5": str(tiny_t5(folder / "t5", starter_base_folder())),
        "marian": str(tiny_marian(folder / "marian")),
        "nllb": str(tiny_nllb(folder / "nllb")),
        "m2m": str(tiny_m2m(folder / "m2m")),
        "targets": str(tiny_marian_of_targets(folder / "targets")),
        "adapter": str(adapter_of_three_labels(folder / "adapter")),
    }
    return {**named, **tiny, **encoder, **own}


def adapter_of_three_labels(folder: Path) -> Path:
    """Write a LoRA adapter over a tiny classifier of two labels; its head has three, and no config.json says so."""
    import peft
    import torch
    import transformers

    base = tiny_bert(folder.with_name("two-labels"))
    config = transformers.AutoConfig.from_pretrained(base, id2label={0: "A", 1: "B", 2: "C"})
    lora = peft.LoraConfig(r=4, target_modules=["query", "value"], task_type="SEQ_CLS", init_lora_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = transformers.AutoModelForSequenceClassification.from_config(config)
        peft.get_peft_model(model, lora).save_pretrained(folder)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": str(base)}))
    return folder


def ask(registry: Registry, fakes: Mapping[str, str], task: str, values: Mapping[str, Any]) -> Asked:
    """Ask our skill; `model` names one of the fakes or starters, by default the task's."""
    settings_type, skill = SKILLS[task]
    model = fakes.get(values.get("model", task), "")
    settings = settings_type(**{**values, "model": model})
    return Asked(task, settings, skill(settings, registry))


@pytest.fixture(scope="module")
def asked(registry: Registry, fakes: Mapping[str, str]) -> list[Asked]:
    """Give every case with our skill's answer, the long one last."""
    return [ask(registry, fakes, task, values) for task, values in (*CASES, LONG_CASE)]


@pytest.fixture(scope="module")
def printed(asked: list[Asked]) -> list[str]:
    """What each snippet prints, one process for all of them, each in a namespace of its own."""
    done = run([sys.executable, "-c", RUN_ALL], json.dumps([one.python for one in asked]))
    return [json.loads(line) for line in done.splitlines()]


def run(command: list[str], given_text: str = "") -> str:
    """Run a command in the project folder and return what it prints; its complaints fail the test."""
    done = subprocess.run(command, cwd=PROJECT, input=given_text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(one: Any, other: Any) -> None:
    """Compare two results: numbers within the tolerance, all else exactly."""
    if isinstance(one, float | int) and not isinstance(one, bool):
        assert other == pytest.approx(one, abs=TOLERANCE)
    elif isinstance(one, dict):
        assert list(one) == list(other) or set(one) == set(other)
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    else:
        assert one == other


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][0]}-{number}")
def test_python_prints_our_result(number: int, asked: list[Asked], printed: list[str]) -> None:
    """The Python snippet prints, as JSON and nothing else, the result of our own skill."""
    assert_same(asked[number].answer.result, json.loads(printed[number]))


def test_python_runs_as_a_file(asked: list[Asked], tmp_path: Path) -> None:
    """A snippet saved to a file and run in the project folder prints the result."""
    program = tmp_path / "snippet.py"
    program.write_text(asked[0].python, encoding="utf-8")
    assert_same(asked[0].answer.result, json.loads(run([sys.executable, str(program)])))


def test_python_needs_no_atelier(asked: list[Asked]) -> None:
    """No snippet imports anything of ours."""
    for one in asked:
        imported = {
            (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.walk(ast.parse(one.python))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert imported <= {*STANDARD, "torch", "transformers", "peft"}


def test_long_text_finds_the_same_entities(asked: list[Asked], printed: list[str]) -> None:
    """For a text of several windows the pipeline's own windows name nearly the same words as ours."""
    theirs = {(found["start"], found["end"], found["entity_group"]) for found in json.loads(printed[-1])}
    ours = {(found["start"], found["end"], found["entity_group"]) for found in asked[-1].answer.result}
    assert len(ours & theirs) >= 0.8 * len(ours | theirs)


# -- where the model came from ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    """What a snippet needs of an answer."""

    provenance: Provenance
    notes: tuple[Any, ...] = ()


COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
ANSWERED = Answered(Provenance("org/model", COMMIT, None, "cpu", "float32", "sdpa"))


def python_for(model: str, adapter: str | None = None, revision: str = COMMIT, **values: Any) -> str:
    """Return the Python for a classification that these parts answered."""
    ran = {"device": "cpu", "dtype": "float32", "attention": "sdpa"}
    ran |= {name: value for name, value in values.items() if name in ran}
    settings = TextClassificationSettings(text="Fine.", model=model, quantisation=values.get("quantisation", "none"))
    name = model.partition("+")[0].partition("@")[0]
    provenance = Provenance(name, revision, adapter, **ran)
    return python_snippet("text-classification", settings, Answered(provenance, values.get("notes", ())))


def test_hub_model_is_pinned() -> None:
    """A Hub id carries the commit that answered, whatever branch was asked for."""
    program = python_for("org/model@main")
    assert f'model="org/model",\n    revision="{COMMIT}",' in program
    assert "main" not in program


def test_hub_adapters_are_laid_over_their_base() -> None:
    """Adapters named behind a plus are laid over the base in order, each at its own commit."""
    labels = f"org/one@main@{OTHER_COMMIT}, org/two@{COMMIT}"
    program = ast.unparse(ast.parse(python_for("org/model+org/one@main+org/two", labels)))
    first = program.index(f"'org/one', revision='{OTHER_COMMIT}'")
    assert first < program.index(f"'org/two', revision='{COMMIT}'")
    assert program.count(".merge_and_unload()") == 2


def test_adapter_repository_names_its_base() -> None:
    """A repository that is itself an adapter is asked for its base, which is pinned, too."""
    program = python_for("org/adapter", f"snapshot@{OTHER_COMMIT}")
    assert f'PeftConfig.from_pretrained("org/adapter", revision="{OTHER_COMMIT}").base_model_name_or_path' in program
    assert f'base, revision="{COMMIT}"' in program


def test_placement_is_written_down() -> None:
    """Device, dtype, attention and quantisation are those that ran."""
    ran = {"device": "cuda:0", "dtype": "bfloat16", "attention": "flash_attention_2"}
    program = python_for("org/model", **ran, quantisation="nf4")
    for part in (*ran.values(), "load_in_4bit=True"):
        assert part in program
    ast.parse(program)


def test_cut_text_is_cut_alike() -> None:
    """Where our skill said how many tokens it read, the snippet reads as many."""
    program = python_for("org/model", notes=(say("say.text_cut", read=77, length=900),))
    assert "truncation=True, max_length=77" in program


# -- texts that try to break out ------------------------------------------------------------------------------------

NASTY = (
    "say \"hi\" and 'bye' \"\"\" ''' \\",
    "$(touch pwned) `touch pwned` ; touch pwned & | > pwned",
    "'; touch pwned; echo '",
    "line one\nline two\r\n\tthree\x00\x1b[31m",
    "```\n</code></pre><script>alert(1)</script>\n````bash\n~~~",
    "안녕하세요, 세상! 你好，世界。😀👩‍👩‍👧",
    "\u202eevil\u202c שלום \u2066x\u2069 \u2028 \ufeff",
    "lone \ud800 surrogate",
    "@/etc/passwd",
    "%s %d {text} {{}} !! !$ ~ * ?",
    "x" * 200_000,
)


FAKE_CURL = """
curl() {
  local last="${@: -1}"
  case "$last" in
    @-) cat > "$BODY" ;;
    http*) printf '%s\\n' "$STREAM" ;;
    *) printf %s "$last" > "$BODY" ;;
  esac
  [[ $last == http* ]] || echo '{"event_id":"e1"}'
}
"""
"""Keeps what it is told to send, from the command line or from its input; asked for the answer, it prints STREAM."""


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_python_holds_any_text(text: str) -> None:
    """Parsed again, the program holds exactly the text; its source shows only printable characters."""
    settings = QuestionAnsweringSettings(question=text[:500], context=text)
    program = python_snippet("question-answering", settings, ANSWERED)
    values = {
        ast.unparse(node.targets[0]): node.value.value
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert values["context"] == text
    assert values["question"] == text[:500]
    assert all(line.isprintable() for line in program.split("\n"))


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_curl_sends_any_text(text: str, tmp_path: Path) -> None:
    """Bash hands curl exactly the JSON, runs nothing that stands in it, and shows only printable characters."""
    body = tmp_path / "body"
    snippet = curl_snippet("/question_answering", {"context": text}, "http://127.0.0.1:1/")
    environment = {**os.environ, "BODY": str(body), "STREAM": "data: [0, 1, 2]"}
    subprocess.run(["bash"], input=(FAKE_CURL + snippet).encode(), cwd=tmp_path, env=environment, check=True)
    assert json.loads(body.read_bytes()) == {"context": text}
    assert not (tmp_path / "pwned").exists()
    assert all(line.isprintable() for line in snippet.split("\n"))


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_markdown_holds_any_text(text: str) -> None:
    """Markdown sees two code blocks, python and bash, and nothing beside them."""
    settings = QuestionAnsweringSettings(question="?", context=text)
    blocks = MarkdownIt().parse(snippets_markdown("question-answering", settings, ANSWERED, "http://localhost:7860"))
    assert [(block.type, block.info) for block in blocks] == [("fence", "python"), ("fence", "bash")]
    assert blocks[0].content == python_snippet("question-answering", settings, ANSWERED)


@pytest.mark.parametrize(
    ("stream", "printed", "complaint"),
    [
        ('event: generating\ndata: ["", 0, 0]\n\nevent: complete\ndata: ["", {"答": [1]}, 2]\n', {"答": [1]}, ""),
        ('event: heartbeat\ndata: null\n\nevent: complete\ndata: ["data: x", null, {}]\n', None, ""),
        ('event: error\ndata: {"error": "The text is empty."}\n', None, "No result: {'error': 'The text is empty.'}\n"),
        ("event: error\ndata: null\n", None, "No result: None\n"),
        ("", None, "No result: None\n"),
    ],
)
def test_curl_prints_the_result_alone(tmp_path: Path, stream: str, printed: Any, complaint: str) -> None:
    """Of the stream's last data the result is printed, readable in any script; anything else fails in words."""
    snippet = FAKE_CURL + curl_snippet("attention", {"text": "Fine."}, "http://127.0.0.1:1/")
    environment = {**os.environ, "BODY": str(tmp_path / "body"), "STREAM": stream}
    done = subprocess.run(["bash"], input=snippet, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (not complaint)
    assert done.stderr == complaint
    assert done.stdout == ("" if complaint else json.dumps(printed, ensure_ascii=False, indent=2) + "\n")


def test_curl_leaves_defaults_out() -> None:
    """Only what differs from the endpoint's defaults is sent; naming the starter is no difference."""
    settings = TextClassificationSettings(text="Fine.", model="starter/sentiment", top_k=2)
    assert given("text-classification", settings) == {"text": "Fine.", "top_k": 2}


# -- a real app -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a launched app."""
    with launched(tmp_path_factory.mktemp("app")) as url:
        yield url


@contextmanager
def launched(home: Path, *options: str) -> Iterator[str]:
    """Launch the app on a free port and stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (home / "log.txt").open("wb")
    command = [sys.executable, "app.py", "--port", str(port), "--home", str(home), *options]
    server = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(url, server, home / "log.txt")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)
        log.close()


def wait_until_up(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the app answers; fail with its log if it ends before."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/config").close()  # noqa: S310 our own address
        except urllib.error.HTTPError:
            return  # it asks for a password
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(log.read_text())


def endpoints(url: str) -> list[str]:
    """Return the names of the public endpoints."""
    with urllib.request.urlopen(f"{url}/gradio_api/info") as answer:  # noqa: S310 our own address
        return [name.strip("/") for name in json.load(answer)["named_endpoints"]]


def test_curl_gets_our_result(app_url: str, asked: list[Asked]) -> None:
    """For every endpoint of the page that has a snippet, pasting the curl into bash prints the same result."""
    first = {one.task.replace("-", "_"): one for one in reversed(asked)}
    served = [name for name in endpoints(app_url) if name in first]
    assert "text_classification" in served
    for name in served:
        one = first[name]
        snippet = curl_snippet(name, given(one.task, one.settings, one.answer.provenance.seed), app_url)
        assert_same(one.answer.result, json.loads(run(["bash", "-c", snippet])))


def test_curl_logs_in(tmp_path: Path, asked: list[Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the instance asks for a password, the curl takes it from the environment and never holds it."""
    monkeypatch.setenv("ATELIER_PASSWORD", "pass & word")
    with launched(tmp_path, "--password", "pass & word") as url:
        snippet = curl_snippet("text_classification", given(asked[0].task, asked[0].settings), url, user="atelier")
        result = json.loads(run(["bash", "-c", snippet]))
    assert "pass & word" not in snippet
    assert_same(asked[0].answer.result, result)

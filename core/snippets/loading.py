"""Source that loads a model with transformers and peft, in the device, dtype and attention that really ran."""

from __future__ import annotations

from dataclasses import dataclass

from core.catalogue import STARTER_BASE
from core.snippets.origin import Origin, Place
from core.snippets.source import Code, call, code, literal
from core.tasks.text.chat_prompt import ChatPrompt
from core.tasks.text.direction import Direction
from core.tasks.text.translation import Pair


@dataclass(frozen=True)
class Plan:
    """A model's parts, and how they ran."""

    origin: Origin
    device: str
    dtype: str
    attention: str
    quantisation: str = "none"
    cut_to: int | None = None
    """Tokens that were read of a text that was longer."""
    seed: int | None = None
    part: str | None = None
    """What was read of a text with gaps, as the model knows them."""
    targets: tuple[str, ...] = ()
    """The tokens that a gap was filled from, by their names; empty = all."""
    chat: ChatPrompt | None = None
    """What a model of this machine was given of a conversation."""
    left_out: int = 0
    """How many of the oldest messages a model elsewhere did not read."""
    thought: bool = False
    """What a model elsewhere thought stands in front of its answer."""
    direction: Direction | None = None
    """From which language into which, as the model was told."""
    pairs: tuple[Pair, ...] = ()
    """The sentences that were translated."""
    in_parts: int | None = None
    """Tokens that were read at once, of a text that was summarised in parts."""

    @property
    def plain(self) -> bool:
        """True where one repository holds everything, so that `pipeline` can load it by its name."""
        return not self.origin.adapters and not self.origin.packaged

    @property
    def to_device(self) -> str:
        """What follows the tokenizer's output on its way to the model."""
        return "" if self.device == "cpu" else ".to(model.device)"


def load(plan: Plan, auto_class: str) -> Code:
    """Write the loading of `model` and `tokenizer`; adapters that bring a head are laid over the class they know."""
    head = plan.origin.head if auto_class == "AutoModel" else None
    whole = _model(plan, f"{auto_class}{head or ''}")
    encoder = [_encoder(plan)] if head else []
    return _joined(_base(plan), whole, *_adapters(plan), *encoder, _tokenizer(plan))


def pipeline(plan: Plan, task: str, auto_class: str, name: str) -> Code:
    """Write the making of a pipeline called `name`; parts that lie apart are loaded first."""
    if plan.plain and plan.origin.base:
        quantised = _quantisation(plan)
        inner = {"attn_implementation": literal(_attention(plan))} | quantised
        model_kwargs = "{" + ", ".join(f'"{key}": {value}' for key, value in inner.items()) + "}"
        made = call(
            f"{name} = pipeline",
            literal(task),
            **_where("model", plan.origin.base),
            **({"device_map": literal(plan.device)} if quantised else {"device": literal(plan.device)}),
            dtype=literal(plan.dtype),
            model_kwargs=model_kwargs,
        )
        return _joined(code("transformers:pipeline", *_remark(plan), made), _quantisation_imports(plan))
    device = {} if _laid_out(plan) else {"device": literal(plan.device)}
    made = call(f"{name} = pipeline", literal(task), model="model", tokenizer="tokenizer", **device)
    return _joined(load(plan, auto_class), code("transformers:pipeline", made))


def _base(plan: Plan) -> Code:
    """Write what `base` is, where it is more than a name."""
    if plan.origin.packaged:
        package, folder = literal(STARTER_BASE.package), literal(STARTER_BASE.folder_in_package)
        return code(
            "importlib.metadata:distribution",
            *(["# run this in Atelier's folder: the starter's adapter lies there"] if plan.origin.adapters else []),
            f"# {STARTER_BASE.hub_id}, as the Python package {STARTER_BASE.package} brings it",
            f"base = str(distribution({package}).locate_file({folder}))",
        )
    if plan.origin.base is None:
        first = plan.origin.adapters[0]
        found = call("PeftConfig.from_pretrained", *_arguments(first))
        return code("peft:PeftConfig", f"base = {found}.base_model_name_or_path")
    return code("", f"base = {literal(plan.origin.base.name)}")


def _model(plan: Plan, auto_class: str) -> Code:
    config = plan.origin.config
    options = {
        **_base_revision(plan),
        **({"config": call("AutoConfig.from_pretrained", *_arguments(config))} if config else {}),
        **_labels(plan),
        "dtype": literal(plan.dtype),
        "attn_implementation": literal(_attention(plan)),
        **_quantisation(plan),
        **({"device_map": literal(plan.device)} if _laid_out(plan) else {}),
    }
    imports = f"transformers:{auto_class}" + (" transformers:AutoConfig" if config else "")
    made = call(f"model = {auto_class}.from_pretrained", "base", **options)
    return _joined(code(imports, *_remark(plan), made), _quantisation_imports(plan))


def _labels(plan: Plan) -> dict[str, str]:
    """Write as many labels as the adapter's head has; a head of the base's own may have others."""
    labels = plan.origin.labels
    return {"num_labels": literal(labels), "ignore_mismatched_sizes": "True"} if labels else {}


def _adapters(plan: Plan) -> list[Code]:
    """Write how each adapter is laid over the model; merged, it costs nothing (quantised weights cannot take it in)."""
    merged = "" if plan.quantisation != "none" else ".merge_and_unload()"
    return [
        code("peft:PeftModel", call("model = PeftModel.from_pretrained", "model", *_arguments(place)) + merged)
        for place in plan.origin.adapters
    ]


def _encoder(plan: Plan) -> Code:
    """Write how the adapted encoder is taken from under its head; around quantised weights the adapters still stand."""
    whole = "model" if plan.quantisation == "none" else "model.get_base_model()"
    return code("", f"model = {whole}.base_model  # the encoder, without the head that the adapter brings")


def _tokenizer(plan: Plan) -> Code:
    own = plan.origin.tokenizer
    where = _arguments(own) if own else ["base"]
    made = call("tokenizer = AutoTokenizer.from_pretrained", *where, **({} if own else _base_revision(plan)))
    return code("transformers:AutoTokenizer", made)


def _base_revision(plan: Plan) -> dict[str, str]:
    revision = plan.origin.base.revision if plan.origin.base else plan.origin.base_revision
    return {"revision": literal(revision)} if revision else {}


def _where(keyword: str, place: Place) -> dict[str, str]:
    revision = {"revision": literal(place.revision)} if place.revision else {}
    return {keyword: literal(place.name)} | revision


def _arguments(place: Place) -> list[str]:
    return [literal(place.name), *([f"revision={literal(place.revision)}"] if place.revision else [])]


def _attention(plan: Plan) -> str:
    """Return the implementation that transformers knows; slicing is ours and computes the same as SDPA."""
    return "sdpa" if plan.attention == "sliced" else plan.attention


def _remark(plan: Plan) -> list[str]:
    return ["# ran sliced here, to save memory; SDPA gives the same numbers"] if plan.attention == "sliced" else []


def _laid_out(plan: Plan) -> bool:
    return plan.device != "cpu" or plan.quantisation != "none"


def _quantisation(plan: Plan) -> dict[str, str]:
    made = {
        "nf4": 'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")',
        "int8": "BitsAndBytesConfig(load_in_8bit=True)",
    }
    return {"quantization_config": made[plan.quantisation]} if plan.quantisation in made else {}


def _quantisation_imports(plan: Plan) -> Code:
    return code("transformers:BitsAndBytesConfig" if _quantisation(plan) else "")


def _joined(*pieces: Code) -> Code:
    """Put pieces under each other without a blank line."""
    imports = frozenset[str]().union(*(piece.imports for piece in pieces))
    return Code(imports, tuple(line for piece in pieces for line in piece.lines))

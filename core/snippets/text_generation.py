"""The code of /text_generation: transformers' own pipeline, with every setting that counts."""

from __future__ import annotations

from core.catalogue import find_task
from core.snippets.loading import Plan, pipeline
from core.snippets.source import Code, call, code, literal
from core.tasks.text.sampling import arguments
from core.tasks.text.text_generation import TASK, TextGenerationSettings


def text_generation(settings: TextGenerationSettings, plan: Plan) -> list[Code]:
    """Write `pipeline("text-generation")`; the seed is set as late as can be, for loading may draw, too."""
    options = {name: literal(value) for name, value in arguments(settings).items()}
    if settings.stop_strings:
        options |= {"stop_strings": literal(settings.stop_strings), "tokenizer": "write.tokenizer"}
    limit = "min(write.tokenizer.model_max_length, write.model.config.max_position_embeddings)"
    long = [f"write.tokenizer.model_max_length = {limit}"] if plan.cut_to else []
    options |= {"handle_long_generation": literal("hole")} if plan.cut_to else {}
    drawn = code("transformers:set_seed", f"set_seed({plan.seed})") if plan.seed is not None else code("")
    return [
        pipeline(plan, TASK, find_task(TASK).auto_class, "write"),
        code("", f"prompt = {literal(settings.prompt)}", *long),
        drawn,
        code("", call("result = write", "prompt", **options)),
    ]

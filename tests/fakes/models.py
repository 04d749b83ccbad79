"""Tiny real models: random seeded weights in the very files that the Hub would send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HEADS = {
    "sequence-classification": ("AutoModelForSequenceClassification", ("NEGATIVE", "POSITIVE")),
    "nli": ("AutoModelForSequenceClassification", ("contradiction", "neutral", "entailment")),
    "token-classification": ("AutoModelForTokenClassification", ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")),
    "question-answering": ("AutoModelForQuestionAnswering", ()),
    "masked-lm": ("AutoModelForMaskedLM", ()),
    "encoder": ("AutoModel", ()),
}
WORDS = (
    "the a an is was in of to and not good bad great awful film plot actor ada lovelace london paris lives works where "
    "who when this that it i we you love hate very never always . , ? ! ' -"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
CLUTTER = (
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
    "modeling_x.py",
    "README.md",
    "trainer_state.json",
    "model.fp16.safetensors",
    "onnx/model.onnx",
    "onnx/config.json",
)
"""What repositories hold beside what loading needs."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The form of conversations that Qwen and many others have."""


def tiny_bert(
    folder: Path, task: str = "sequence-classification", labels: Sequence[str] | None = None, seed: int = 0
) -> Path:
    """Write a BERT (hidden size 32, 2 layers) for `task` (a key of HEADS) with its WordPiece tokenizer.

    Same seed, same bytes; the caller's random state is left as it was. Returns the folder.
    """
    import torch
    import transformers

    class_name, usual_labels = HEADS[task]
    names = tuple(labels or usual_labels)
    vocabulary = vocabulary_of_tiny_bert()
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        **_labelled(names),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, class_name).from_config(config)
    model.eval().save_pretrained(folder)
    _write_tokenizer(folder, vocabulary)
    return folder


def tiny_t5(folder: Path, tokenizer: Path) -> Path:
    """Write a T5 (hidden size 16, 2 layers) with a prefix, lengths and beams of its own, and BERT's tokenizer.

    Same bytes each time; the caller's random state is left as it was. Returns the folder.
    """
    import torch
    import transformers

    config = transformers.T5Config(
        d_model=16,
        d_kv=4,
        num_heads=4,
        num_layers=2,
        d_ff=32,
        vocab_size=30522,
        pad_token_id=0,
        eos_token_id=102,
        decoder_start_token_id=101,
        n_positions=512,
        task_specific_params={"summarization": {"prefix": "summarize: ", "num_beams": 2, "max_length": 20}},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


def tiny_llama(folder: Path, seed: int = 0) -> Path:
    """Write a Llama (hidden size 32, 2 layers, 256 positions) with a tokenizer whose tokens are bytes."""
    import torch
    import transformers

    special = ["<s>", "</s>", "<pad>"]
    alphabet = _write_byte_tokenizer(folder, special)
    config = transformers.LlamaConfig(
        vocab_size=len(alphabet),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(8)  # fresh weights answer nearly the same to everything
    model.eval().save_pretrained(folder)
    return folder


def tiny_spaced_llama(folder: Path) -> Path:
    """Write `tiny_llama` with a tokenizer as Llama 2's: tokens begin with their space, which decoding strips in front.

    It knows small letters, alone and behind a space, and pairs of them behind a space.
    """
    from string import ascii_lowercase

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tiny_llama(folder)
    file, count = folder / "tokenizer.json", len(Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab())
    pairs = (f"▁{first}{second}" for first in ascii_lowercase for second in ascii_lowercase)
    tokens = ["<s>", "</s>", "<pad>", "▁", *ascii_lowercase, *(f"▁{one}" for one in ascii_lowercase), *pairs][:count]
    tokenizer = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer.save(str(file))
    return folder


def tiny_chat(folder: Path, template: str | None = CHATML) -> Path:
    """Write `tiny_llama` with a chat template (None = none) and the tokens <|im_start|> and <|im_end|> for it."""
    import torch
    import transformers

    tiny_llama(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    return folder


def _write_byte_tokenizer(folder: Path, special: Sequence[str]) -> list[str]:
    """Write a byte-level tokenizer without merges, which puts the first special token before each text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A", special_tokens=[(special[0], 0)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict(zip(("bos_token", "eos_token", "pad_token"), special, strict=True))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 256, **names})
    )
    return tokens


def cluttered_repository(folder: Path, numbers: int = 200) -> Path:
    """Write `numbers` float32 and 20 float16 parameters, a configuration, two small texts and CLUTTER; no torch."""
    import numpy as np
    from safetensors.numpy import save_file

    (folder / "onnx").mkdir(parents=True)
    values = np.random.default_rng(0).random(numbers, np.float32)
    save_file({"weight": values, "bias": np.ones(20, np.float16)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "vocab.txt").write_text("a\nb\n")
    for name in CLUTTER:
        (folder / name).write_bytes(b"clutter")
    return folder


def cut_into_shards(folder: Path, count: int) -> None:
    """Replace model.safetensors by `count` shards; the n-th holds n parameters."""
    import numpy as np
    from safetensors.numpy import save_file

    (folder / "model.safetensors").unlink()
    for index in range(1, count + 1):
        name = f"model-{index:05}-of-{count:05}.safetensors"
        save_file({f"part{index}": np.ones(index, np.float32)}, folder / name)


def vocabulary_of_tiny_bert() -> tuple[str, ...]:
    """Return every token: special ones, whole words, and letters, so that no word is unknown."""
    pieces = [*LETTERS, *(f"##{letter}" for letter in LETTERS)]
    return tuple(dict.fromkeys([*SPECIAL, *WORDS, *pieces]))


def _labelled(names: Sequence[str]) -> dict[str, Any]:
    if not names:
        return {}
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def _write_tokenizer(folder: Path, vocabulary: Sequence[str]) -> None:
    """Write the tokenizer as `tokenizers` stores it, so that any version of transformers reads the same one."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": True,
                "model_max_length": 128,
                "pad_token": "[PAD]",
                "unk_token": "[UNK]",
                "cls_token": "[CLS]",
                "sep_token": "[SEP]",
                "mask_token": "[MASK]",
            }
        )
    )
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")

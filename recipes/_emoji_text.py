"""The emoji text encoder: a small CLIP text model with its own vocabulary, taught by MiniLM what words mean."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import trainers
from tokenizers.pre_tokenizers import ByteLevel
from torch import nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from recipes._base import base_folder
from recipes._emoji_data import Emoji
from recipes._emoji_loop import Learner, Schedule, Training, best_device
from recipes._emoji_prompts import phrases, prompts
from recipes._measure import batches

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
LONGEST = 24
"""Tokens of a prompt, begin and end included; what is longer is cut."""
MEANING = 384
"""Width of MiniLM's sentence embeddings."""
SHARPNESS = 0.05
"""Temperature at which a batch's embeddings are told apart."""
BEGINNING_DEVIATION = 0.05
"""Of the first token embeddings."""


@dataclass(frozen=True)
class TextShape:
    """How large the text encoder and its vocabulary are."""

    vocabulary: int = 8192
    hidden: int = 256
    layers: int = 3
    heads: int = 4
    common_words: int = 5000
    """Words beside those of the emoji: MiniLM's whole words, which stand in the order of how common they are."""
    phrases: int = 8000


def common_words(count: int) -> list[str]:
    """Return the most common English words."""
    vocabulary = json.loads((base_folder() / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    whole = (word for word in sorted(vocabulary, key=vocabulary.get) if re.fullmatch("[a-z]{2,}|[ai]", word))
    return [word for word, _ in zip(whole, range(count), strict=False)]


def new_tokenizer(emoji: Emoji, shape: TextShape) -> CLIPTokenizer:
    """Return a tokenizer whose vocabulary keeps words of emoji and common words whole; it knows lower case only."""
    bare = CLIPTokenizer(vocab={BEGIN: 0, END: 1}, merges=[])
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary - 2,
        initial_alphabet=ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    texts = [*emoji.names * 10, *(word for words in emoji.keywords for word in words * 3)]
    bare.backend_tokenizer.train_from_iterator([*texts, *common_words(shape.common_words) * 2], trainer)
    model = json.loads(bare.backend_tokenizer.to_str())["model"]
    # As in CLIP's own vocabulary: the bytes, the bytes that end a word, what was merged, begin and end.
    symbols = sorted(ByteLevel.alphabet())
    merges = [tuple(pair) for pair in model["merges"]]
    tokens = dict.fromkeys([*symbols, *(symbol + "</w>" for symbol in symbols), *map("".join, merges)])
    kept = list(tokens)[: shape.vocabulary - 2]
    known = set(kept)
    return CLIPTokenizer(
        vocab={token: number for number, token in enumerate([*kept, BEGIN, END])},
        merges=[pair for pair in merges if "".join(pair) in known],
        model_max_length=LONGEST,
    )


def token_rows(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Return what the pipeline would give the text encoder for each text, (texts, LONGEST)."""
    inputs = tokenizer(list(texts), padding="max_length", max_length=LONGEST, truncation=True, return_tensors="pt")
    return inputs["input_ids"]


def new_text_encoder(tokenizer: CLIPTokenizer, shape: TextShape, seed: int) -> CLIPTextModel:
    """Return a text encoder of random layers, whose token embeddings begin as what MiniLM makes of each token."""
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=4 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=LONGEST,
        projection_dim=shape.hidden,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        # In bfloat16 on a CPU the fused attention learns several times slower.
        attn_implementation="eager",
    )
    encoder = CLIPTextModel(config)
    texts = [tokenizer.decode([number]).strip() for number in range(len(tokenizer))]
    with torch.no_grad():
        embeddings = encoder.get_input_embeddings().weight
        embeddings.copy_(narrowed(meanings(texts), shape.hidden) * BEGINNING_DEVIATION)
    return encoder


def narrowed(vectors: torch.Tensor, width: int) -> torch.Tensor:
    """Return vectors in the `width` directions in which they differ most, with a mean square of 1."""
    centred = vectors.float() - vectors.float().mean(dim=0)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:width]
    found = functional.pad(centred @ directions.T, (0, width - len(directions)))
    return found / found.square().mean().sqrt()


@torch.no_grad()
def meanings(texts: Sequence[str]) -> torch.Tensor:
    """Return MiniLM's sentence embedding of each text, (texts, MEANING), each of length 1."""
    device = best_device()
    tokenizer = AutoTokenizer.from_pretrained(base_folder())
    teacher = AutoModel.from_pretrained(base_folder()).to(device).eval()
    found = torch.zeros(len(texts), MEANING)
    for rows in batches([len(text) for text in texts], 256):
        inputs = tokenizer([texts[row] for row in rows], padding=True, return_tensors="pt").to(device)
        with torch.autocast(device.type, torch.bfloat16):
            states = teacher(**inputs).last_hidden_state.float()
        mask = inputs["attention_mask"][:, :, None]
        found[rows] = functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1), dim=1).cpu()
    return found


@dataclass(frozen=True)
class Wording:
    """Prompts of all emoji and phrases beside them: their tokens, and what MiniLM makes of them."""

    tokens: torch.Tensor
    """(emoji, prompts, LONGEST)"""
    meanings: torch.Tensor
    """(emoji, prompts, MEANING)"""
    phrase_tokens: torch.Tensor
    phrase_meanings: torch.Tensor

    def to(self, device: torch.device) -> Wording:
        """Return it on a device."""
        return Wording(*(one.to(device) for one in vars(self).values()))


def wording(emoji: Emoji, tokenizer: CLIPTokenizer, shape: TextShape, seed: int, file: Path) -> Wording:
    """Return prompts and phrases; what MiniLM makes of them is computed once, and kept in `file`."""
    asked = prompts(emoji, seed)
    words = common_words(shape.common_words)
    beside = [*words, *phrases(_known_words(emoji) + words[:1500], shape.phrases, seed)]
    texts = [*(text for row in asked for text in row), *beside]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"meanings": meanings(texts).half()}, file)
    targets, tokens = load_file(file)["meanings"].float(), token_rows(tokenizer, texts)
    split = len(texts) - len(beside)
    return Wording(
        tokens[:split].unflatten(0, (len(emoji), -1)),
        targets[:split].unflatten(0, (len(emoji), -1)),
        tokens[split:],
        targets[split:],
    )


def _known_words(emoji: Emoji) -> list[str]:
    return sorted({word for name in emoji.names for word in re.findall("[a-z]{3,}", name.lower())})


class Reader(nn.Module):
    """The text encoder with a head that says a text's meaning as MiniLM does; the head is not shipped."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        """Take an encoder."""
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, MEANING)

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states that the denoiser sees, and the meaning (texts, MEANING)."""
        found = self.encoder(tokens)
        return found.last_hidden_state, functional.normalize(self.head(found.pooler_output).float(), dim=1)


def apart(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far meanings are from those wanted, and from being told from the others of the batch."""
    wanted = wanted.float()
    alike = (found @ wanted.T) / SHARPNESS
    # Several prompts may mean the very same, so the aim is what the teacher finds alike, not the diagonal.
    aim = ((wanted @ wanted.T) / SHARPNESS).softmax(dim=1)
    return 1 - (found * wanted).sum(dim=1).mean() + 0.1 * functional.cross_entropy(alike, aim)


def distil(reader: Reader, words: Wording, schedule: Schedule, folder: Path) -> dict[str, Any]:
    """Teach the reader MiniLM's meaning of the prompts and phrases; half of each batch are prompts."""
    reader.to(best_device())
    words = words.to(best_device())
    tokens, targets = words.tokens.flatten(0, 1), words.meanings.flatten(0, 1)
    half = schedule.batch_size // 2

    def lesson(generator: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(tokens), (half,), generator=generator)
        others = torch.randint(len(words.phrase_tokens), (schedule.batch_size - half,), generator=generator)
        _, found = reader(torch.cat([tokens[rows], words.phrase_tokens[others]]))
        return apart(found, torch.cat([targets[rows], words.phrase_meanings[others]]))

    return Training(Learner(reader, lesson), schedule, folder).run()

"""Tiny encoder-decoders that translate: random seeded weights, and the tokenizers of the families that differ."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ENDING = 0.2
"""How wide the numbers are that decide whether a text ends: about half of the texts do before their limit."""
ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'-()/#>*éàçàèù"
TARGETS = (">>fra<<", ">>deu<<", ">>cmn_Hans<<")
"""What the Marian model of several targets can write."""
SHAPE = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
OWN = {"num_beams": 2, "max_new_tokens": 12, "no_repeat_ngram_size": 1}
"""What generation_config.json of each of them asks for; without the last, random weights say the same for ever."""


def tiny_marian(folder: Path, positions: int = 64, **own: Any) -> Path:
    """Write a translator of one direction, as the starters are: Marian's model over a byte-level tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokens = ["<|endoftext|>", "<|pad|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {tokens[0]}", special_tokens=[(tokens[0], 0)])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"eos_token": tokens[0], "pad_token": tokens[1], "model_input_names": ["input_ids", "attention_mask"]}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1e30, **names})
    )
    others = [place for place, token in enumerate(tokens) if place > 1 and not (token.isascii() and token.isalpha())]
    return _write_marian(folder, len(tokens), positions, {"suppress_tokens": others, **own}, eos=0, pad=1)


def tiny_marian_of_targets(folder: Path) -> Path:
    """Write a Marian translator of several targets with Marian's own tokenizer: each text begins with its target."""
    _write_sentencepiece(folder / "source.spm", folder / "target.spm")
    names = {"<unk>": 1, "<pad>": 2, "</s>": 0}
    _write_vocabulary(folder / "vocab.json", folder / "source.spm", names, TARGETS)
    kind = {"tokenizer_class": "MarianTokenizer", "source_lang": "eng", "target_lang": "mul", "model_max_length": 60}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind))
    size = len(json.loads((folder / "vocab.json").read_text()))
    return _write_marian(folder, size, 64, {}, eos=0, pad=2)


def tiny_m2m(folder: Path) -> Path:
    """Write an M2M100 with its own tokenizer: languages are tokens such as __fr__."""
    import transformers
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

    _write_sentencepiece(folder / "sentencepiece.bpe.model")
    names = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    _write_vocabulary(folder / "vocab.json", folder / "sentencepiece.bpe.model", names)
    languages = [f"__{code}__" for code in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
    kind = {"tokenizer_class": "M2M100Tokenizer", "model_max_length": 60, "additional_special_tokens": languages}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return _write_m2m(folder, max(tokenizer.lang_code_to_id.values()) + 1)


def tiny_nllb(folder: Path) -> Path:
    """Write an NLLB: M2M100's model with codes such as fra_Latn."""
    import transformers

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *dict.fromkeys(ALPHABET)]
    tokenizer = transformers.NllbTokenizer(
        vocab={piece: place for place, piece in enumerate(pieces)}, merges=[], model_max_length=60
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    return _write_m2m(folder, len(tokenizer))


def _write_marian(folder: Path, size: int, positions: int, own: dict[str, Any], *, eos: int, pad: int) -> Path:
    import transformers

    ids = {"eos_token_id": eos, "pad_token_id": pad, "decoder_start_token_id": pad}
    config = transformers.MarianConfig(vocab_size=size, max_position_embeddings=positions, **SHAPE, **ids)
    settings = {**OWN, "forced_eos_token_id": eos, "bad_words_ids": [[pad]], **own, **ids}
    return _write(folder, transformers.MarianMTModel, config, settings)


def _write_m2m(folder: Path, size: int) -> Path:
    import transformers

    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = transformers.M2M100Config(vocab_size=size, max_position_embeddings=64, **SHAPE, **ids)
    return _write(folder, transformers.M2M100ForConditionalGeneration, config, {**OWN, **ids})


def _write(folder: Path, model_class: Any, config: Any, settings: dict[str, Any]) -> Path:
    """Write weights that answer differently to different texts; the caller's random state is left as it was."""
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = model_class(config)
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "embed" not in name:
                weight.data.mul_(12)
        model.get_output_embeddings().weight.data[config.eos_token_id].normal_(0, ENDING)  # each ends where it likes
    model.generation_config = transformers.GenerationConfig(**settings)
    model.eval().save_pretrained(folder)
    return folder


def _write_sentencepiece(*files: Path) -> None:
    """Train SentencePiece on letters alone."""
    import sentencepiece

    words = iter([" ".join(ALPHABET), *(f"{one}{other}" for one in "aeiou" for other in ALPHABET[:26])])
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=words, model_writer=made, vocab_size=120, hard_vocab_limit=False, minloglevel=2
    )
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made.getvalue())


def _write_vocabulary(file: Path, model: Path, special: dict[str, int], more: Sequence[str] = ()) -> None:
    """Write the ids of special tokens, of SentencePiece's pieces and of further tokens."""
    import sentencepiece

    loaded = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = [loaded.id_to_piece(place) for place in range(loaded.get_piece_size())]
    others = [piece for piece in dict.fromkeys((*pieces, *more)) if piece not in special]
    ids = {**special, **{piece: len(special) + place for place, piece in enumerate(others)}}
    file.write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")

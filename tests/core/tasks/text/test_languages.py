"""What people call a language and what a model calls it."""

from __future__ import annotations

import pytest
from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M_AND_WMT
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MBART
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

from core.tasks.text.languages import (
    NAMES,
    NEAR,
    OWN_NAMES,
    find_language,
    is_language,
    language_name,
    near_languages,
    same_language,
)

M2M = M2M_AND_WMT["m2m100"]
MARIAN = ["fra", "cmn_Hans", "cmn_Hant", "pt_BR", "pt"]


@pytest.mark.parametrize(
    ("asked", "codes", "found"),
    [
        ("en", NLLB, "eng_Latn"),
        ("EN", MBART, "en_XX"),
        ("eng", M2M, "en"),
        ("eng_Latn", M2M, "en"),
        ("en_XX", NLLB, "eng_Latn"),
        (" French ", NLLB, "fra_Latn"),
        ("français", M2M, "fr"),
        ("한국어", NLLB, "kor_Hang"),
        ("zh", NLLB, "zho_Hans"),
        ("中文", MBART, "zh_CN"),
        ("zh-TW", NLLB, "zho_Hant"),
        ("zh_Hant", MARIAN, "cmn_Hant"),
        ("繁體中文", NLLB, "zho_Hant"),
        ("zh", M2M, "zh"),
        ("zh-TW", MBART, None),
        ("pt-BR", NLLB, "por_Latn"),
        ("pt-BR", MARIAN, "pt_BR"),
        ("ar", NLLB, "arb_Arab"),
        ("fa", NLLB, "pes_Arab"),
        ("no", NLLB, "nob_Latn"),
        ("nb", M2M, "no"),
        ("ceb", NLLB, "ceb_Latn"),
        ("kas", NLLB, None),
        ("klingon", NLLB, None),
        ("", NLLB, None),
    ],
)
def test_short_long_and_spoken_names_find_the_models_own(asked: str, codes: list[str], found: str | None) -> None:
    """A code of whatever length, an English or an own name is the model's code, unless several would do."""
    assert find_language(asked, codes) == found


@pytest.mark.parametrize("codes", [NLLB, MBART, M2M], ids=["nllb", "mbart", "m2m"])
def test_each_code_finds_itself(codes: list[str]) -> None:
    """What a model calls a language is never taken for another one."""
    assert [code for code in codes if find_language(code, codes) != code] == []


def test_every_language_of_m2m_and_mbart_has_its_nllb_code() -> None:
    """Short codes are translated into long ones, but for the two languages that NLLB does not know."""
    assert [code for code in M2M if not find_language(code, NLLB)] == ["br", "fy"]
    assert [code for code in MBART if not find_language(code, NLLB)] == []


def test_the_table_names_each_language_once() -> None:
    """No code and no name belongs to two languages, and what the page offers is known."""
    words = [word for code, names in NAMES.items() for word in (code, *names)]
    assert len(set(words)) == len(words)
    assert [code for code in OWN_NAMES if not find_language(code, NLLB)] == []


@pytest.mark.parametrize(("asked", "near"), [("kas", "kas_Deva"), ("zh-TW", "zh_CN"), ("frnch", "fra_Latn")])
def test_near_codes_are_offered(asked: str, near: str) -> None:
    """A language in several scripts, another script, and a slip of the finger lead to the codes that were meant."""
    found = near_languages(asked, MBART if asked == "zh-TW" else NLLB)
    assert near in found
    assert len(found) <= NEAR
    assert near_languages("xqzw", NLLB) == []


def test_languages_are_compared_without_script_and_region() -> None:
    """Codes fr and fra_Latn are one language, en and fr are two; groups of languages are none."""
    assert same_language("fr", "fra_Latn")
    assert same_language("French", "fr_XX")
    assert not same_language("en", "fr")
    assert (is_language("zh-TW"), is_language("mul"), is_language("ROMANCE")) == (True, False, False)
    assert (language_name("fra_Latn"), language_name("xx")) == ("French", "xx")

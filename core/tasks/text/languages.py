"""What people call a language, and what a model calls it: en, English, eng_Latn, en_XX."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

NAMES: Mapping[str, tuple[str, ...]] = {
    "af": ("Afrikaans", "afr"),
    "am": ("Amharic", "amh"),
    "ar": ("Arabic", "ara", "arb"),
    "as": ("Assamese", "asm"),
    "az": ("Azerbaijani", "aze", "azj"),
    "ba": ("Bashkir", "bak"),
    "be": ("Belarusian", "bel"),
    "bg": ("Bulgarian", "bul"),
    "bm": ("Bambara", "bam"),
    "bn": ("Bengali", "ben"),
    "bo": ("Tibetan", "bod"),
    "br": ("Breton", "bre"),
    "bs": ("Bosnian", "bos"),
    "ca": ("Catalan", "cat"),
    "cs": ("Czech", "ces"),
    "cy": ("Welsh", "cym"),
    "da": ("Danish", "dan"),
    "de": ("German", "deu"),
    "dz": ("Dzongkha", "dzo"),
    "el": ("Greek", "ell"),
    "en": ("English", "eng"),
    "eo": ("Esperanto", "epo"),
    "es": ("Spanish", "spa"),
    "et": ("Estonian", "est", "ekk"),
    "eu": ("Basque", "eus"),
    "fa": ("Persian", "fas", "pes"),
    "ff": ("Fulah", "ful", "fuv"),
    "fi": ("Finnish", "fin"),
    "fo": ("Faroese", "fao"),
    "fr": ("French", "fra"),
    "fy": ("Frisian", "fry"),
    "ga": ("Irish", "gle"),
    "gd": ("Scottish Gaelic", "gla"),
    "gl": ("Galician", "glg"),
    "gn": ("Guarani", "grn"),
    "gu": ("Gujarati", "guj"),
    "ha": ("Hausa", "hau"),
    "he": ("Hebrew", "heb", "iw"),
    "hi": ("Hindi", "hin"),
    "hr": ("Croatian", "hrv"),
    "ht": ("Haitian Creole", "hat"),
    "hu": ("Hungarian", "hun"),
    "hy": ("Armenian", "hye"),
    "id": ("Indonesian", "ind"),
    "ig": ("Igbo", "ibo"),
    "is": ("Icelandic", "isl"),
    "it": ("Italian", "ita"),
    "ja": ("Japanese", "jpn"),
    "jv": ("Javanese", "jav"),
    "ka": ("Georgian", "kat"),
    "kk": ("Kazakh", "kaz"),
    "km": ("Khmer", "khm"),
    "kn": ("Kannada", "kan"),
    "ko": ("Korean", "kor"),
    "ku": ("Kurdish", "kur", "kmr"),
    "ky": ("Kyrgyz", "kir"),
    "lb": ("Luxembourgish", "ltz"),
    "lg": ("Ganda", "lug"),
    "ln": ("Lingala", "lin"),
    "lo": ("Lao", "lao"),
    "lt": ("Lithuanian", "lit"),
    "lv": ("Latvian", "lav", "lvs"),
    "mg": ("Malagasy", "mlg", "plt"),
    "mi": ("Maori", "mri"),
    "mk": ("Macedonian", "mkd"),
    "ml": ("Malayalam", "mal"),
    "mn": ("Mongolian", "mon", "khk"),
    "mr": ("Marathi", "mar"),
    "ms": ("Malay", "msa", "zsm"),
    "mt": ("Maltese", "mlt"),
    "my": ("Burmese", "mya"),
    "ne": ("Nepali", "nep", "npi"),
    "nl": ("Dutch", "nld"),
    "no": ("Norwegian", "nor", "nb", "nob"),
    "ns": ("Northern Sotho", "nso"),
    "ny": ("Chichewa", "nya"),
    "oc": ("Occitan", "oci"),
    "om": ("Oromo", "orm", "gaz"),
    "or": ("Odia", "ori", "ory"),
    "pa": ("Punjabi", "pan"),
    "pl": ("Polish", "pol"),
    "ps": ("Pashto", "pus", "pbt"),
    "pt": ("Portuguese", "por"),
    "ro": ("Romanian", "ron"),
    "ru": ("Russian", "rus"),
    "rw": ("Kinyarwanda", "kin"),
    "sd": ("Sindhi", "snd"),
    "si": ("Sinhala", "sin"),
    "sk": ("Slovak", "slk"),
    "sl": ("Slovenian", "slv"),
    "sn": ("Shona", "sna"),
    "so": ("Somali", "som"),
    "sq": ("Albanian", "sqi", "als"),
    "sr": ("Serbian", "srp"),
    "ss": ("Swati", "ssw"),
    "st": ("Southern Sotho", "sot"),
    "su": ("Sundanese", "sun"),
    "sv": ("Swedish", "swe"),
    "sw": ("Swahili", "swa", "swh"),
    "ta": ("Tamil", "tam"),
    "te": ("Telugu", "tel"),
    "tg": ("Tajik", "tgk"),
    "th": ("Thai", "tha"),
    "ti": ("Tigrinya", "tir"),
    "tk": ("Turkmen", "tuk"),
    "tl": ("Tagalog", "tgl", "fil"),
    "tn": ("Tswana", "tsn"),
    "tr": ("Turkish", "tur"),
    "tt": ("Tatar", "tat"),
    "ug": ("Uyghur", "uig"),
    "uk": ("Ukrainian", "ukr"),
    "ur": ("Urdu", "urd"),
    "uz": ("Uzbek", "uzb", "uzn"),
    "vi": ("Vietnamese", "vie"),
    "wo": ("Wolof", "wol"),
    "xh": ("Xhosa", "xho"),
    "yi": ("Yiddish", "yid", "ydd"),
    "yo": ("Yoruba", "yor"),
    "zh": ("Chinese", "zho", "cmn"),
    "zu": ("Zulu", "zul"),
}
"""ISO 639-1 code → the English name and the longer codes of the same language (ISO 639-3, macrolanguages included)."""

OWN_NAMES: Mapping[str, str] = {
    "en": "English",
    "fr": "Français",
    "de": "Deutsch",
    "es": "Español",
    "pt": "Português",
    "it": "Italiano",
    "nl": "Nederlands",
    "pl": "Polski",
    "cs": "Čeština",
    "sv": "Svenska",
    "da": "Dansk",
    "fi": "Suomi",
    "ro": "Română",
    "hu": "Magyar",
    "el": "Ελληνικά",
    "uk": "Українська",
    "ru": "Русский",
    "tr": "Türkçe",
    "ar": "العربية",
    "he": "עברית",
    "fa": "فارسی",
    "hi": "हिन्दी",
    "bn": "বাংলা",
    "th": "ไทย",
    "vi": "Tiếng Việt",
    "id": "Bahasa Indonesia",
    "zh": "中文",
    "zh-Hans": "简体中文",
    "zh-Hant": "繁體中文",
    "ja": "日本語",
    "ko": "한국어",
}
"""Codes that a page offers, and what their speakers call them."""

SCRIPTS: Mapping[str, frozenset[str]] = {
    "hans": frozenset({"hans", "cn", "sg"}),
    "hant": frozenset({"hant", "tw", "hk", "mo"}),
}
"""What stands behind zh in its two scripts; the first is the usual one."""

NEAR = 6
"""Codes that are offered in the place of an unknown one, at most."""


def find_language(asked: str, codes: Sequence[str]) -> str | None:
    """Return the one of a model's `codes` that `asked` means: its own, a shorter or longer one, or a name; else None.

    Where several would do, as eng_Latn and eng_Brai would for en, none is returned; Chinese alone has a usual script.
    """
    wanted = _folded(asked)
    own = {_folded(code): code for code in codes}
    if wanted in own:
        return own[wanted]
    base, rest = _parts(_code_of_name(asked) or wanted)
    same = [code for code in own if _parts(code)[0] in _equals(base)]
    fitting = _of_script(rest or ("hans" if base in _equals("zh") else ""), same)
    return own[fitting[0]] if len(fitting) == 1 else None


def near_languages(asked: str, codes: Sequence[str]) -> list[str]:
    """Return those of `codes` that are written like `asked`, or whose name is, the nearest first."""
    wanted = _folded(asked)
    equals = _equals(_parts(_code_of_name(asked) or wanted)[0])
    spelled = {word: code for code in codes for word in (_folded(code), _folded(language_name(code)))}
    likely = difflib.get_close_matches(wanted, spelled, n=NEAR, cutoff=0.6)
    found = [*(code for code in codes if _parts(_folded(code))[0] in equals), *(spelled[one] for one in likely)]
    return list(dict.fromkeys(found))[:NEAR]


def language_name(code: str) -> str:
    """Return the English name of a language by whichever code, or the code itself where no name is known."""
    base = _parts(_folded(code))[0]
    return next((names[0] for short, names in NAMES.items() if base in {short, *names[1:]}), code)


def same_language(one: str, other: str) -> bool:
    """Tell whether two codes or names mean the same language, whatever script or region stands behind them."""
    first, second = (_parts(_code_of_name(code) or _folded(code))[0] for code in (one, other))
    return first in _equals(second)


def is_language(code: str) -> bool:
    """Tell whether a code or name is a single language that we know."""
    base = _parts(_code_of_name(code) or _folded(code))[0]
    return any(base in {short, *names[1:]} for short, names in NAMES.items())


def _folded(code: str) -> str:
    return code.strip().casefold().replace("-", "_")


def _parts(code: str) -> tuple[str, str]:
    base, _, rest = code.partition("_")
    return base, rest


def _equals(base: str) -> Collection[str]:
    """Return every code of the language that has this one."""
    found = next(({short, *names[1:]} for short, names in NAMES.items() if base in {short, *names[1:]}), None)
    return found or {base}


def _code_of_name(asked: str) -> str | None:
    wanted = asked.strip().casefold()
    names: Iterable[tuple[str, str]] = ((code, entry[0]) for code, entry in NAMES.items())
    both = (*names, *OWN_NAMES.items())
    return next((_folded(code) for code, name in both if name.casefold() == wanted), None)


def _of_script(rest: str, codes: Sequence[str]) -> Sequence[str]:
    """Keep the codes of the script or region `rest`; another region of the same script is the same language."""
    script = next((name for name, regions in SCRIPTS.items() if rest in regions), None)
    if script:
        return [code for code in codes if not _parts(code)[1] or _parts(code)[1] in SCRIPTS[script]]
    exact = [code for code in codes if _parts(code)[1] == rest]
    return exact or codes

"""What the name of a model on another machine says, and which names are refused without being shown."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.remote.names import Endpoint, Provided, is_remote, remote_place


@pytest.mark.parametrize(
    ("typed", "base", "host", "model"),
    [
        ("http://localhost:8000/v1#my-model", "http://localhost:8000/v1", "localhost:8000", "my-model"),
        (" HTTPS://API.Example.com ", "https://api.example.com/v1", "api.example.com", None),
        ("https://h:443/v1/#org/m:7b@q4", "https://h/v1", "h", "org/m:7b@q4"),
        ("http://h/#m", "http://h/v1", "h:80", "m"),
        ("http://h:80", "http://h/v1", "h:80", None),
        ("https://h/openai#m", "https://h/openai/v1", "h", "m"),
        ("https://h/v1beta/openai/#m", "https://h/v1beta/openai", "h", "m"),
        ("https://h/api/v3/chat/completions#m", "https://h/api/v3", "h", "m"),
        ("https://h/deep/chat/completions#m", "https://h/deep", "h", "m"),
        ("http://[::1]:11434#m", "http://[::1]:11434/v1", "[::1]:11434", "m"),
        ("http://gpu_box:1/v1#My Model #2.gguf", "http://gpu_box:1/v1", "gpu_box:1", "My Model #2.gguf"),
    ],
)
def test_addresses(typed: str, base: str, host: str, model: str | None) -> None:
    """An address is taken as servers' manuals print it; what it is called here leads to the same place again."""
    place = remote_place(typed)
    assert is_remote(typed)
    assert place == Endpoint(base, host, model)
    assert remote_place(place.name) == place


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("hf-inference:org/model", Provided("org/model")),
        (" HF-Inference: org/model.v1:together", Provided("org/model.v1", "together")),
        ("hf-inference:org/model:hf-inference", Provided("org/model", "hf-inference")),
    ],
)
def test_providers(typed: str, place: Provided) -> None:
    """A model of Inference Providers is named like a Hub model, with a provider if one likes."""
    assert is_remote(typed)
    assert remote_place(typed) == place
    assert remote_place(place.name) == place


@pytest.mark.parametrize("name", ["org/model", "starter/stories", "/a/folder", "C:\\models", "httpserver/model", ""])
def test_other_names(name: str) -> None:
    """A Hub id, a starter and a folder are no address."""
    assert not is_remote(name)


@pytest.mark.parametrize(
    "typed",
    [
        *("http://", "https:///v1", "http://:8000", "http://h:0", "http://h:99999", "http://h:x/", "http://ho st/"),
        *("http://h\\@other/v1", "http://h.\\other", "http://-h", "http://h./v1", "http://hé/v1", "http://[::g]/"),
        *("http://h/v\n1#m", "http://h/v1#m\nx", f"http://h#{'m' * 201}", "http://[h]/", "http://1.2.3.4 .5"),
    ],
)
def test_bad_addresses(typed: str) -> None:
    """What is no address, or might be read as two, is refused with an example, and is not repeated."""
    with pytest.raises(InvalidInput) as refusal:
        remote_place(typed)
    assert refusal.value.sentence.key == "error.bad_endpoint"
    assert "localhost:8000" in str(refusal.value)


@pytest.mark.parametrize(
    "typed", ["http://user:pass@h/v1#m", "http://token@h", "https://h/v1?key=secret#m", "https://h/?#m"]
)
def test_no_secrets_in_an_address(typed: str) -> None:
    """Credentials in an address would be written down with every answer: refused, with the place for them."""
    with pytest.raises(InvalidInput, match="ATELIER_ENDPOINT_KEYS") as refusal:
        remote_place(typed)
    assert refusal.value.sentence.values == {}


@pytest.mark.parametrize(
    "typed", ["hf-inference:", "hf-inference:model", "hf-inference:a/b/c", "hf-inference:a/b:", "hf-inference:a/b:c:d"]
)
def test_bad_provider_names(typed: str) -> None:
    """What is no Hub id behind hf-inference: is refused with the form that is meant."""
    with pytest.raises(InvalidInput, match="organisation/model:provider"):
        remote_place(typed)


@pytest.mark.parametrize(
    ("typed", "token", "offline"),
    [
        ("https://router.huggingface.co/v1#m", True, True),
        ("http://router.huggingface.co/v1#m", False, True),
        ("https://router.huggingface.co:8443/v1#m", False, True),
        ("https://router.huggingface.co.example.com/v1", False, False),
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud", False, True),
        ("https://nothuggingface.co/v1", False, False),
        ("http://localhost:1/v1", False, False),
    ],
)
def test_what_is_hugging_face(typed: str, token: bool, offline: bool) -> None:
    """A token is for the router over https alone; HF_HUB_OFFLINE closes every host of Hugging Face."""
    place = remote_place(typed)
    assert isinstance(place, Endpoint)
    assert (place.for_hugging_face, place.at_hugging_face) == (token, offline)

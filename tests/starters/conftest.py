"""What the tests of shipped starters share: a registry as the app makes it."""

from __future__ import annotations

import pytest

from core.catalogue import Catalogue
from core.hub import Hub
from core.loading import Loader
from core.registry import Registry
from core.settings import Settings


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give a registry as the app makes it, offline."""
    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))

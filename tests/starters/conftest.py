"""What the tests of shipped starters share: a registry as the app makes it."""

from __future__ import annotations

import pytest

from core.catalogue import Catalogue
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Settings


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give a registry as the app makes it, offline."""
    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))

"""The cycle collector while libraries are imported."""

from __future__ import annotations

import gc

import pytest

from core.collector import paused_collector


def test_it_is_off_inside_and_on_again_behind() -> None:
    """Inside the block nothing is collected, also in a block in a block; behind it all is as before."""
    with paused_collector():
        with paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_failure_switches_it_on_again() -> None:
    """An import that fails leaves the collector on."""
    with pytest.raises(ImportError), paused_collector():
        raise ImportError
    assert gc.isenabled()


def test_whoever_has_switched_it_off_finds_it_off() -> None:
    """A process that runs without the collector keeps running without."""
    gc.disable()
    try:
        with paused_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()

"""Fixtures for every test."""

from pathlib import Path

import pytest
from django.core.cache import cache

pytest_plugins = ["tests.cast", "tests.harness.plugin", "tests.harness.listener"]


@pytest.fixture(autouse=True)
def private_media(settings, tmp_path: Path) -> Path:
    """Every test has a file storage of its own, empty at first."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture(autouse=True)
def _uncounted_logins() -> None:
    """Wrong passwords are counted in the cache, which outlives a test."""
    cache.clear()

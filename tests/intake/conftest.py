"""Files on roads where nobody looks at them."""

from collections.abc import Callable

import pytest
from django.core.files.storage import default_storage

from diagnosis.intake.unattended import Described, Road, receive_unattended


@pytest.fixture
def receive(doctor, site):
    """Bring one file in as a viewer or an archive does."""

    def bring(content, name="chest.dcm", *, actor=doctor, at=site, described=None, road=Road.STOW):
        return receive_unattended(
            actor=actor, site=at, content=content, name=name, road=road, described=described or Described()
        )

    return bring


@pytest.fixture
def stored_files() -> Callable[[], list[str]]:
    return lambda: sorted(
        f"{folder}/{name}"
        for folder in ("originals", "previews", "thumbnails")
        if default_storage.exists(folder)
        for name in default_storage.listdir(folder)[1]
    )

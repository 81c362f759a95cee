"""The DICOM listener over a test's own records."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections
from pynetdicom import _config

from diagnosis.dimse import transport
from diagnosis.dimse.listener import Listener, ListenerOptions


@pytest.fixture
def listener_options(tmp_path: Path) -> ListenerOptions:
    return ListenerOptions(
        host="127.0.0.1",
        port=0,
        ae_title=settings.CXR_DICOM_AE_TITLE,
        maximum_associations=4,
        maximum_object_bytes=4 * 1024 * 1024,
        tls=None,
        incoming_dir=tmp_path / "incoming",
    )


@pytest.fixture
def listen(
    db: None, listener_options: ListenerOptions, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Listener]]:
    """Start a listener; its threads share the connection of the test, as those of Django's live server do."""
    connection = connections["default"]
    connection.inc_thread_sharing()
    closing = transport._closing_its_database_connection

    def sharing(run):
        def with_the_connection_of_the_test():
            connections["default"] = connection
            try:
                run()
            finally:
                del connections["default"]  # The test's, not this thread's to close.

        return closing(with_the_connection_of_the_test)

    monkeypatch.setattr(transport, "_closing_its_database_connection", sharing)
    # What the listener sets for its whole process ends with the test.
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(_config, "STORE_RECV_CHUNKED_DATASET", False)
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    with contextlib.ExitStack() as stack:

        def start(**changes) -> Listener:
            listener = Listener(dataclasses.replace(listener_options, **changes))
            listener.start()
            stack.callback(listener.stop)
            return listener

        yield start
    connection.dec_thread_sharing()

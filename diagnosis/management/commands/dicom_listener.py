"""Take in images that modalities and archives push by C-STORE, until SIGTERM or Ctrl-C."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cxr_portal.memory import keep_freed_memory
from diagnosis.dimse.listener import Listener, ListenerOptions, tls_context


class Command(BaseCommand):
    help = (
        "Listen for DICOM associations (C-STORE, C-ECHO) from the peers that the administration names. "
        "CXR_DICOM_PORT and the other CXR_DICOM_ variables say where and how."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        keep_freed_memory()
        stop = threading.Event()

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        listener = Listener(self._options())
        try:
            listener.start()
        except OSError as error:
            raise CommandError(
                f"Port {settings.CXR_DICOM_PORT} cannot be listened on: {error.strerror}. Choose another with CXR_DICOM_PORT."
            ) from None
        self.stdout.write(f"The DICOM listener {settings.CXR_DICOM_AE_TITLE} runs on port {listener.port}.")
        self.stdout.flush()
        stop.wait()
        listener.stop()
        self.stdout.write("Stopped.")

    def _options(self) -> ListenerOptions:
        if settings.CXR_DICOM_PORT is None:
            raise CommandError("Set CXR_DICOM_PORT to the port to listen on.")
        certificate, key = settings.CXR_DICOM_TLS_CERTIFICATE, settings.CXR_DICOM_TLS_KEY
        if (certificate is None) != (key is None):
            raise CommandError(
                "Set both CXR_DICOM_TLS_CERTIFICATE and CXR_DICOM_TLS_KEY, or neither for no TLS."
            )
        if certificate is None and settings.CXR_DICOM_TLS_AUTHORITY is not None:
            raise CommandError(
                "CXR_DICOM_TLS_AUTHORITY is set without a certificate of the listener. Set CXR_DICOM_TLS_CERTIFICATE and "
                "CXR_DICOM_TLS_KEY too: without them the listener does not speak TLS."
            )
        tls = None
        if certificate is not None and key is not None:
            try:
                tls = tls_context(
                    certificate=certificate, key=key, authority=settings.CXR_DICOM_TLS_AUTHORITY
                )
            except OSError:
                raise CommandError(
                    "The certificate, the key or the authority of the DICOM listener cannot be read, or they do not belong "
                    "together. Check the files that the CXR_DICOM_TLS_ variables name."
                ) from None
        return ListenerOptions(
            host=settings.CXR_DICOM_HOST,
            port=settings.CXR_DICOM_PORT,
            ae_title=settings.CXR_DICOM_AE_TITLE,
            maximum_associations=settings.CXR_DICOM_MAX_ASSOCIATIONS,
            maximum_object_bytes=settings.CXR_MAX_UPLOAD_BYTES,
            tls=tls,
            incoming_dir=Path(settings.FILE_UPLOAD_TEMP_DIR),
        )

"""An Orthanc of this test run, a DICOM archive that others wrote: own folder, free ports, gone at the end."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.harness.binaries import missing, require
from tests.harness.processes import accepts, free_port, running

AE_TITLE = "ORTHANC"
DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, slots=True)
class Orthanc:
    """``url`` is that of its REST API, ``dicomweb_url`` that of its DICOMweb service, both without a slash at the end."""

    url: str
    dicom_port: int

    @property
    def dicomweb_url(self) -> str:
        return f"{self.url}/dicom-web"

    def store(self, content: bytes) -> str:
        """Put a file in; gives Orthanc's own id of the instance."""
        return self._json("POST", "/instances", data=content)["ID"]

    def clear(self) -> None:
        for study in self._json("GET", "/studies"):
            self._json("DELETE", f"/studies/{study}")

    def know_modality(self, name: str, ae_title: str, port: int) -> None:
        self._json("PUT", f"/modalities/{name}", json={"AET": ae_title, "Host": "127.0.0.1", "Port": port})

    def forget_modality(self, name: str) -> None:
        self._json("DELETE", f"/modalities/{name}")

    def know_dicomweb_server(self, name: str, url: str, token: str) -> None:
        self._json(
            "PUT",
            f"/dicom-web/servers/{name}",
            json={
                "Url": f"{url}/",
                "HttpHeaders": {"Authorization": f"Token {token}"},
                # Python's simple web server of the tests takes no body without Content-Length; gunicorn and nginx do.
                "ChunkedTransfers": "0",
            },
        )

    def push_by_c_store(self, name: str, instance: str) -> requests.Response:
        return requests.post(f"{self.url}/modalities/{name}/store", data=instance, timeout=60)

    def push_by_stow(self, name: str, instance: str) -> requests.Response:
        body = {"Resources": [instance], "Synchronous": True}
        return requests.post(f"{self.url}/dicom-web/servers/{name}/stow", json=body, timeout=60)

    def _json(self, method: str, path: str, **sent: Any) -> Any:
        response = requests.request(method, f"{self.url}{path}", timeout=60, **sent)
        response.raise_for_status()
        return response.json() if response.content else None


@contextlib.contextmanager
def start_orthanc(**options: Any) -> Iterator[Orthanc]:
    """``options`` are Orthanc's own, on top of those that it needs here."""
    program = require("Orthanc")
    if not DICOMWEB_PLUGIN.exists():
        missing(str(DICOMWEB_PLUGIN))
    folder = Path(tempfile.mkdtemp(prefix="cxr-orthanc-"))
    http_port, dicom_port = free_port(), free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": AE_TITLE,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DefaultEncoding": "Utf8",
        # A machine that is short of time is no fault of the portal.
        "DicomScuTimeout": 60,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **options,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    try:
        with running(
            [program, folder / "orthanc.json"],
            log=folder / "orthanc.log",
            ready=lambda: accepts(http_port) and accepts(dicom_port),
        ):
            yield Orthanc(f"http://127.0.0.1:{http_port}", dicom_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""An archive asked by QIDO-RS and WADO-RS (PS3.18 10.4 and 10.6)."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.http.request import MediaType
from django.utils.translation import gettext_noop
from pydicom.dataset import Dataset

from diagnosis.dicomweb.multipart_reading import BodyBroken, parts_of
from diagnosis.models import PacsPeer
from diagnosis.pacs.archive import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    MOST_STUDIES,
    RETURNED,
    ArchiveUnavailable,
    FoundStudy,
    StudyQuery,
    Take,
)
from diagnosis.sentences import Sentence

MOST_ANSWER_BYTES = 16 * 1024 * 1024


class DicomwebArchive:
    def __init__(self, peer: PacsPeer) -> None:
        self._peer = peer
        self._url = peer.dicomweb_url.rstrip("/")

    def find(self, query: StudyQuery) -> list[FoundStudy]:
        parameters: dict[str, Any] = {
            **query.keys,
            "limit": MOST_STUDIES,
            "includefield": ",".join(RETURNED),
        }
        response = self._get("/studies", "application/dicom+json", parameters)
        if response.status_code == requests.codes.no_content:
            return []
        try:
            answer = response.raw.read(MOST_ANSWER_BYTES + 1, decode_content=True)
            if len(answer) > MOST_ANSWER_BYTES:
                raise ValueError
            found = [FoundStudy.of(Dataset.from_json(result)) for result in json.loads(answer)]
        except Exception:  # noqa: BLE001  Whatever it sent, it is no answer.
            raise self._unavailable(
                Sentence(gettext_noop("It sent an answer that cannot be understood."))
            ) from None
        return [study for study in found if study][:MOST_STUDIES]

    def retrieve(self, study_instance_uid: str, take: Take) -> int:
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        response = self._get(f"/studies/{study_instance_uid}", accept, {})
        content_type = MediaType(response.headers.get("Content-Type", ""))
        boundary = str(content_type.params.get("boundary", "")).strip('"')
        count = 0
        try:
            for part in parts_of(_Body(response), boundary, most_bytes=settings.CXR_MAX_UPLOAD_BYTES):
                count += 1
                # What is over the limit is refused in the words of the intake, which looks at the size first.
                if part.had_no_room:
                    raise OSError("There is no room for what arrives.")
                with part.content or contextlib.nullcontext(
                    bytes(settings.CXR_MAX_UPLOAD_BYTES + 1)
                ) as content:
                    take(content)
        except (BodyBroken, requests.RequestException, OSError):
            raise self._unavailable(
                Sentence(
                    gettext_noop(
                        "Its answer broke off. What had arrived whole is stored; fetch the study again for the rest."
                    )
                )
            ) from None
        return count

    def _get(self, path: str, accept: str, parameters: dict[str, Any]) -> requests.Response:
        headers = {"Accept": accept}
        if self._peer.secret_name:
            secret = os.environ.get(self._peer.secret_name)
            if not secret:
                raise self._unavailable(
                    Sentence(
                        gettext_noop(
                            "The variable {secret_name} with its password is not set. Tell an administrator."
                        ),
                        secret_name=self._peer.secret_name,
                    )
                )
            headers["Authorization"] = secret
        try:
            response = requests.get(
                self._url + path,
                # Orthanc takes a wildcard that is percent-encoded for a letter.
                params=urlencode(parameters, safe="*,"),
                headers=headers,
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                stream=True,
                # Elsewhere it would be another system, which nobody has named.
                allow_redirects=False,
            )
        except requests.RequestException:
            raise self._unavailable(Sentence(gettext_noop("It does not answer."))) from None
        if response.status_code not in (requests.codes.ok, requests.codes.no_content):
            raise self._unavailable(
                Sentence(
                    gettext_noop("It refused the request (HTTP {status_code})."),
                    status_code=response.status_code,
                )
            )
        return response

    def _unavailable(self, reason: Sentence) -> ArchiveUnavailable:
        return ArchiveUnavailable(
            Sentence(
                gettext_noop(
                    "The archive {name} could not be asked. {reason} Try again later, or tell an administrator."
                ),
                name=self._peer.name,
                reason=reason,
            )
        )


class _Body:
    """The body as it comes from the network, decompressed."""

    def __init__(self, response: requests.Response) -> None:
        self._raw = response.raw

    def read(self, size: int, /) -> bytes:
        try:
            return bytes(self._raw.read(size, decode_content=True))
        except Exception as error:
            # urllib3's own errors are no OSError.
            raise OSError("the body broke off") from error

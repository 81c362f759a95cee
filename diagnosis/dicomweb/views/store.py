"""STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import cast

from django.conf import settings
from django.http import HttpResponse
from django.http.request import MediaType
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType, ValidationError
from rest_framework.request import Request

from diagnosis.api.sites import site_or_only_one
from diagnosis.dicomweb.multipart_reading import (
    READ_BYTES,
    BodyBroken,
    BodyStream,
    PartWriter,
    ReceivedPart,
    parts_of,
)
from diagnosis.dicomweb.negotiation import DICOM, DICOM_JSON, JSON, MULTIPART, choose
from diagnosis.dicomweb.storing import Identity, StoreAnswer, Stored, identity_of
from diagnosis.dicomweb.views.base import DicomWebView
from diagnosis.dicomweb.views.retrieve import FilesView
from diagnosis.dicomweb.views.search import StudySearchView
from diagnosis.dimse.status import CANNOT_UNDERSTAND, DOES_NOT_MATCH, OUT_OF_RESOURCES, status_of
from diagnosis.full_disk import FILE_NOT_STORED, NO_ROOM
from diagnosis.intake.unattended import receive_unattended
from diagnosis.models import Road, Site
from diagnosis.policies import Act, sites_where
from diagnosis.sentences import Sentence
from diagnosis.services.studies import FileOutcome, Receipt
from ml.imaging import refusal

MOST_PARTS = 2000
NO_PARTS = "The body holds no DICOM object. Send at least one part."
BROKEN = (
    "The body is not whole: it ends before its last boundary, or is no multipart/related with the boundary that Content-Type "
    "names. Only what this answer names as stored was stored. Send it again: nothing is stored twice."
)
TOO_MANY = f"One request may hold {MOST_PARTS} objects. Send the others in another one."
NOT_OF_THIS_STUDY = (
    "The object belongs to another study than the one that the address names. It was not stored."
)
NO_DICOM_PART = "This part is no application/dicom. It was not stored."


class LengthRequired(APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "This server cannot see where a body without Content-Length ends. Send it with one."
    default_code = "length_required"


class StoreView(DicomWebView):
    """Each object is decided about by itself: one that is refused stops no other."""

    def post(self, request: Request, study: str = "") -> HttpResponse:
        answer_type = choose(request, [DICOM_JSON, JSON])
        site = self._site(request)
        parts = _parts(request)
        answer, problem = StoreAnswer(self.base_url(request)), ""
        try:
            for number, part in enumerate(parts, start=1):
                if number > MOST_PARTS:
                    problem = TOO_MANY
                    break
                answer.add(self._receive(site, part, number, study))
        except BodyBroken:
            problem = BROKEN
        if answer.is_empty:
            raise ParseError(problem or NO_PARTS)
        return HttpResponse(
            json.dumps(answer.json(problem=problem)),
            content_type=answer_type,
            status=answer.status_code(is_whole=not problem),
        )

    def _site(self, request: Request) -> Site:
        """Named in the address where the account may upload at several: ``?site=ID``, which is ours and not the standard's."""
        self.check_query(request, frozenset({"accept", "site"}))
        key = request.query_params.get("site")
        if key is None:
            return site_or_only_one(self.person, Act.UPLOAD, None)
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            raise ValidationError({"site": "Send the id of a site."})
        site = sites_where(self.person, Act.UPLOAD).filter(pk=int(key)).first()
        if site is None:
            raise ValidationError({"site": "There is no such site where you may upload images."})
        return site

    def _receive(self, site: Site, part: ReceivedPart, number: int, study: str) -> Stored:
        with contextlib.nullcontext() if part.content is None else part.content:
            return self._receive_part(site, part, number, study)

    def _receive_part(self, site: Site, part: ReceivedPart, number: int, study: str) -> Stored:
        if part.content_type and _base_type(MediaType(part.content_type)) != DICOM:
            return Stored(Identity(), CANNOT_UNDERSTAND, NO_DICOM_PART)
        if part.had_no_room:
            return Stored(Identity(), OUT_OF_RESOURCES, FILE_NOT_STORED, had_no_room=True)
        if part.content is None:
            limit = f"{settings.CXR_MAX_UPLOAD_BYTES / 1024**2:.0f} MB"
            return Stored(Identity(), CANNOT_UNDERSTAND, str(refusal("too_large", limit=limit)))
        identity = identity_of(part.content.path)
        if study and identity.study_instance_uid != study:
            return Stored(identity, DOES_NOT_MATCH, NOT_OF_THIS_STUDY)
        receipt = receive_unattended(
            actor=self.person, site=site, content=part.content, name=f"{number}.dcm", road=Road.STOW
        )
        return Stored(
            identity,
            status_of(receipt),
            Sentence.of(receipt.reason).english,
            _copy(receipt),
            had_no_room=receipt.code == NO_ROOM,
        )


def _copy(receipt: Receipt) -> Identity | None:
    """Where the de-identified copy of an object is to be found; ``None`` where it is stored as it came, or not stored."""
    image = receipt.image
    if image is None or not image.is_deidentified or receipt.outcome is FileOutcome.HELD:
        return None
    return Identity(
        image.sop_class_uid, image.sop_instance_uid, image.study.study_instance_uid, image.series_instance_uid
    )


class StudiesView(StudySearchView, StoreView):
    """Search by GET, store by POST."""


class StudyView(FilesView, StoreView):
    """Retrieve by GET; store objects of this study alone by POST."""


def _base_type(media_type: MediaType) -> str:
    return f"{media_type.main_type}/{media_type.sub_type}".lower()


def _parts(request: Request) -> Iterator[ReceivedPart]:
    """The objects in the body. Raises ``UnsupportedMediaType`` (415), ``ParseError`` and ``LengthRequired``."""
    media_type = MediaType(request.headers.get("Content-Type", ""))
    stream = _stream(request)
    most_bytes = settings.CXR_MAX_UPLOAD_BYTES
    if _base_type(media_type) == DICOM:
        return _whole(stream, most_bytes)
    kind = str(media_type.params.get("type", DICOM)).strip('"').lower()
    if _base_type(media_type) != MULTIPART or kind != DICOM:
        raise UnsupportedMediaType(
            request.headers.get("Content-Type", ""),
            detail=f'Send {MULTIPART}; type="{DICOM}", or one object as {DICOM}.',
        )
    boundary = str(media_type.params.get("boundary", "")).strip('"')
    if not boundary:
        raise ParseError("Content-Type names no boundary between the parts.")
    return parts_of(stream, boundary, most_bytes=most_bytes)


def _whole(stream: BodyStream, most_bytes: int) -> Iterator[ReceivedPart]:
    writer = PartWriter(most_bytes)
    try:
        is_empty = True
        while chunk := stream.read(READ_BYTES):
            writer.write(chunk)
            is_empty = False
        if not is_empty:
            yield writer.part(DICOM)
    finally:
        writer.drop()


def _stream(request: Request) -> BodyStream:
    """The body, never held as a whole. A chunked one can be read where the server marks its end (gunicorn does)."""
    environ = request.META
    if environ.get("CONTENT_LENGTH"):
        return cast(BodyStream, request._request)
    if environ.get("wsgi.input_terminated"):
        return cast(BodyStream, environ["wsgi.input"])
    raise LengthRequired

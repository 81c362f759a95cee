"""WADO-RS."""

from __future__ import annotations

import json
from collections.abc import Iterator

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotAcceptable, ValidationError
from rest_framework.request import Request

from diagnosis.dicomweb import instances
from diagnosis.dicomweb.multipart import Part, multipart_response
from diagnosis.dicomweb.negotiation import (
    AS_STORED,
    DEFAULT_TRANSFER_SYNTAX,
    DICOM,
    DICOM_JSON,
    JPEG,
    JSON,
    MULTIPART,
    OCTET_STREAM,
    PNG,
    accepted,
    choose,
    matches,
    not_acceptable,
)
from diagnosis.dicomweb.rendering import Rendering, render
from diagnosis.dicomweb.views.base import DicomWebView
from diagnosis.models import Image
from diagnosis.selectors.files import jpeg_response
from diagnosis.services.studies import image_download
from ml.imaging import THUMBNAIL_SIDE, ImageRefused
from ml.imaging.loading import refusing

MOST_FRAMES = 1000


class _RetrieveView(DicomWebView):
    def url(self, request: Request, image: Image) -> str:
        return (
            f"{self.base_url(request)}/studies/{image.study.study_instance_uid}"
            f"/series/{image.series_instance_uid}/instances/{image.sop_instance_uid}"
        )


class FilesView(_RetrieveView):
    """The instances themselves; on record as an opening of the study and a download of each file."""

    def get(self, request: Request, study: str, series: str = "", instance: str = "") -> HttpResponseBase:
        self.check_query(request)
        images = self.instances(study, series, instance)
        is_multipart, wanted = self._negotiate(request, images, one=bool(instance))
        self.open(images)
        for image in images:
            image_download(actor=self.person, image=image)
        if not is_multipart:
            syntax = self._syntax(images[0], wanted)
            return StreamingHttpResponse(
                self._content(images[0], wanted), content_type=f"{DICOM}; transfer-syntax={syntax}"
            )
        parts = (
            Part(
                f"{DICOM}; transfer-syntax={self._syntax(image, wanted)}",
                self._content(image, wanted),
                self.url(request, image),
            )
            for image in images
        )
        return multipart_response(DICOM, parts)

    def _negotiate(self, request: Request, images: list[Image], *, one: bool) -> tuple[bool, str]:
        """Whether in parts, and in which transfer syntax (``*``: as stored). Raises ``NotAcceptable`` with the reason."""
        reason = not_acceptable([f'{MULTIPART}; type="{DICOM}"', *([DICOM] if one else [])])
        for entry in accepted(request):
            # A caller to whom anything is welcome gets the form that every client of the service can read.
            in_parts = entry.is_multipart or not one or entry.media_type == "*/*"
            if not matches(entry.media_type, DICOM) or (
                not entry.is_multipart and not one and entry.media_type != "*/*"
            ):
                continue
            wanted = entry.transfer_syntax or DEFAULT_TRANSFER_SYNTAX
            try:
                if wanted != AS_STORED:
                    for image in images:
                        instances.require_transcoding(image, wanted)
            except NotAcceptable as error:
                reason = error
                continue
            return in_parts, wanted
        raise reason

    @staticmethod
    def _syntax(image: Image, wanted: str) -> str:
        return image.transfer_syntax_uid if wanted == AS_STORED else wanted

    @staticmethod
    def _content(image: Image, wanted: str) -> Iterator[bytes]:
        if wanted in (AS_STORED, image.transfer_syntax_uid):
            yield from instances.stored_chunks(image)
        else:
            yield instances.as_explicit_little_endian(image)


class MetadataView(_RetrieveView):
    def get(self, request: Request, study: str, series: str = "", instance: str = "") -> HttpResponseBase:
        self.check_query(request)
        media_type = choose(request, [DICOM_JSON, JSON])
        images = self.instances(study, series, instance)
        self.open(images)
        urls = [f"{self.url(request, image)}/frames/1" for image in images]
        return StreamingHttpResponse(_json_array(images, urls), content_type=media_type)


def _json_array(images: list[Image], urls: list[str]) -> Iterator[str]:
    for number, (image, url) in enumerate(zip(images, urls, strict=True)):
        yield ("," if number else "[") + json.dumps(instances.metadata(image, frames_url=url))
    yield "]"


class FramesView(_RetrieveView):
    def get(self, request: Request, study: str, series: str, instance: str, frames: str) -> HttpResponseBase:
        self.check_query(request)
        numbers = _frame_numbers(frames)
        [image] = self.instances(study, series, instance)
        syntax, media_type, is_multipart = self._negotiate(request, image, one=len(numbers) == 1)
        ds = instances.read(image, pixels=True)
        if max(numbers) > instances.frame_count(ds):
            raise Http404
        as_stored = syntax == image.transfer_syntax_uid
        frame = instances.stored_frame if as_stored else instances.native_frame
        try:
            with refusing():
                contents = [frame(ds, number - 1) for number in numbers]
        except ImageRefused as refusal:
            raise NotAcceptable(f"The frames cannot be sent like this. {refusal}") from None
        content_type = f"{media_type}; transfer-syntax={syntax}"
        if not is_multipart:
            return self.answered(request, image, HttpResponse(contents[0], content_type=content_type))
        url = self.url(request, image)
        parts = (
            Part(content_type, [content], f"{url}/frames/{number}")
            for number, content in zip(numbers, contents, strict=True)
        )
        return self.answered(request, image, multipart_response(media_type, parts))

    @staticmethod
    def _negotiate(request: Request, image: Image, *, one: bool) -> tuple[str, str, bool]:
        """(transfer syntax, media type, whether in parts). Raises ``NotAcceptable``."""
        stored = image.transfer_syntax_uid
        if stored in instances.LITTLE_ENDIAN_NATIVE:
            stored = DEFAULT_TRANSFER_SYNTAX  # As samples the three are the same bytes.
        stored_type = instances.frame_media_type(stored)
        for entry in accepted(request):
            if not entry.is_multipart and not one and entry.media_type != "*/*":
                continue
            in_parts = entry.is_multipart or entry.media_type == "*/*"
            # “application/octet-stream; transfer-syntax=*” is how viewers ask for a frame as it is stored.
            if entry.transfer_syntax in (AS_STORED, stored) and (
                matches(entry.media_type, stored_type) or entry.media_type == OCTET_STREAM
            ):
                if stored_type == OCTET_STREAM:
                    return DEFAULT_TRANSFER_SYNTAX, OCTET_STREAM, in_parts
                return stored, stored_type, in_parts
            if not entry.transfer_syntax and entry.media_type == stored_type != OCTET_STREAM:
                return stored, stored_type, in_parts
            if matches(entry.media_type, OCTET_STREAM) and entry.transfer_syntax in (
                "",
                DEFAULT_TRANSFER_SYNTAX,
            ):
                instances.require_transcoding(image, DEFAULT_TRANSFER_SYNTAX)
                return DEFAULT_TRANSFER_SYNTAX, OCTET_STREAM, in_parts
        raise not_acceptable(sorted({f'{MULTIPART}; type="{kind}"' for kind in (OCTET_STREAM, stored_type)}))


def _frame_numbers(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",") if number]
    if not numbers or min(numbers) < 1 or len(numbers) > MOST_FRAMES:
        raise ValidationError({"frames": f"Send 1 to {MOST_FRAMES} frame numbers, the first is 1."})
    return numbers


class RenderedView(_RetrieveView):
    """Pictures of the instances; ``viewport``, ``quality`` and ``window`` as PS3.18 8.3.5 has them."""

    query_parameters = frozenset({"accept", "viewport", "quality", "window"})

    def get(
        self, request: Request, study: str, series: str = "", instance: str = "", frames: str = "1"
    ) -> HttpResponseBase:
        self.check_query(request)
        if _frame_numbers(frames) != [1]:
            raise Http404
        images = self.instances(study, series, instance)
        # Of a study or a series those that can be shown; an instance that cannot says why.
        images = [image for image in images if image.is_shown] or images[:1]
        media_type, is_multipart = self._negotiate(request, one=bool(instance) or len(images) == 1)
        rendering = Rendering.of(media_type, request.query_params.dict())
        if not is_multipart:
            content = render(images[0], rendering)
            self.open(images)
            return HttpResponse(content, content_type=media_type)
        self.open(images)
        parts = (
            Part(media_type, _lazily(image, rendering), f"{self.url(request, image)}/rendered")
            for image in images
        )
        return multipart_response(media_type, parts)

    @staticmethod
    def _negotiate(request: Request, *, one: bool) -> tuple[str, bool]:
        for entry in accepted(request):
            for media_type in (JPEG, PNG):
                if not matches(entry.media_type, media_type):
                    continue
                if entry.is_multipart or (entry.media_type == "*/*" and not one):
                    return media_type, True
                if one:
                    return media_type, False
        raise not_acceptable(
            [JPEG, PNG] if one else [f'{MULTIPART}; type="{JPEG}"', f'{MULTIPART}; type="{PNG}"']
        )


def _lazily(image: Image, rendering: Rendering) -> Iterator[bytes]:
    yield render(image, rendering)


class ThumbnailView(_RetrieveView):
    """One small picture: of a study or a series, that of its first instance (PS3.18 10.4.1.1.5)."""

    def get(
        self, request: Request, study: str, series: str = "", instance: str = "", frames: str = "1"
    ) -> HttpResponseBase:
        self.check_query(request)
        media_type = choose(request, [JPEG, PNG])
        if _frame_numbers(frames) != [1]:
            raise Http404
        images = self.instances(study, series, instance)
        image = next((image for image in images if image.thumbnail), None)
        if image is None:
            raise Http404
        self.open([image])
        if media_type == JPEG:
            return jpeg_response(image.thumbnail)
        content = render(image, Rendering(PNG, max_side=THUMBNAIL_SIDE))
        return HttpResponse(content, content_type=PNG)

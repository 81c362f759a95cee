"""The resources of DICOMweb (PS3.18 10.3)."""

from django.urls import path, re_path, register_converter

from diagnosis.dicomweb.views.base import UnknownResourceView
from diagnosis.dicomweb.views.retrieve import (
    FilesView,
    FramesView,
    MetadataView,
    RenderedView,
    ThumbnailView,
)
from diagnosis.dicomweb.views.search import InstanceSearchView, SeriesSearchView
from diagnosis.dicomweb.views.store import StudiesView, StudyView


class UidConverter:
    """VR UI (PS3.5 9.1)."""

    regex = "[0-9.]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


class FrameListConverter:
    regex = "[0-9]{1,6}(?:,[0-9]{1,6})*"

    def to_python(self, value: str) -> str:
        return value

    to_url = to_python


register_converter(UidConverter, "uid")
register_converter(FrameListConverter, "frames")

app_name = "dicomweb"

_STUDY = "studies/<uid:study>"
_SERIES = f"{_STUDY}/series/<uid:series>"
_INSTANCE = f"{_SERIES}/instances/<uid:instance>"
_FRAMES = f"{_INSTANCE}/frames/<frames:frames>"

urlpatterns = [
    path("studies", StudiesView.as_view(), name="studies"),
    path("series", SeriesSearchView.as_view(), name="series"),
    path("instances", InstanceSearchView.as_view(), name="instances"),
    path(_STUDY, StudyView.as_view(), name="study"),
    path(f"{_STUDY}/metadata", MetadataView.as_view(), name="study_metadata"),
    path(f"{_STUDY}/rendered", RenderedView.as_view(), name="study_rendered"),
    path(f"{_STUDY}/thumbnail", ThumbnailView.as_view(), name="study_thumbnail"),
    path(f"{_STUDY}/series", SeriesSearchView.as_view(), name="study_series"),
    path(f"{_STUDY}/instances", InstanceSearchView.as_view(), name="study_instances"),
    path(_SERIES, FilesView.as_view(), name="one_series"),
    path(f"{_SERIES}/metadata", MetadataView.as_view(), name="series_metadata"),
    path(f"{_SERIES}/rendered", RenderedView.as_view(), name="series_rendered"),
    path(f"{_SERIES}/thumbnail", ThumbnailView.as_view(), name="series_thumbnail"),
    path(f"{_SERIES}/instances", InstanceSearchView.as_view(), name="series_instances"),
    path(_INSTANCE, FilesView.as_view(), name="instance"),
    path(f"{_INSTANCE}/metadata", MetadataView.as_view(), name="instance_metadata"),
    path(f"{_INSTANCE}/rendered", RenderedView.as_view(), name="instance_rendered"),
    path(f"{_INSTANCE}/thumbnail", ThumbnailView.as_view(), name="instance_thumbnail"),
    path(_FRAMES, FramesView.as_view(), name="frames"),
    path(f"{_FRAMES}/rendered", RenderedView.as_view(), name="frames_rendered"),
    path(f"{_FRAMES}/thumbnail", ThumbnailView.as_view(), name="frames_thumbnail"),
    re_path(r"^.*$", UnknownResourceView.as_view(), name="unknown"),
]

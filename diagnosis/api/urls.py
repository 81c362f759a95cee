"""The addresses of the API."""

from django.urls import path, re_path

from diagnosis.api import case_urls, report_urls, schema  # noqa: F401  The schema generator finds extensions by their import.
from diagnosis.api.views.accounts import LogoutView, MeView, SiteListView, TokenView, UnknownAddressView
from diagnosis.api.views.images import (
    HeatMapView,
    ImageView,
    OriginalView,
    PredictionView,
    PreviewView,
    RunAgainView,
)
from diagnosis.api.views.models import ModelListView, ModelView
from diagnosis.api.views.patients import (
    LabResultListView,
    PatientListView,
    PatientView,
    SymptomNoteListView,
    TimelineView,
)
from diagnosis.api.views.studies import FirstReadView, RevealView, ReviewListView, StudyListView, StudyView
from diagnosis.api.views.uploads import UploadView

app_name = "api"

urlpatterns = [
    path("auth/token/", TokenView.as_view(), name="token"),
    path("auth/logout/", LogoutView.as_view(), name="logout"),
    path("me/", MeView.as_view(), name="me"),
    path("sites/", SiteListView.as_view(), name="sites"),
    path("uploads/", UploadView.as_view(), name="uploads"),
    path("patients/", PatientListView.as_view(), name="patients"),
    path("patients/<uuid:pk>/", PatientView.as_view(), name="patient"),
    path("patients/<uuid:pk>/lab-results/", LabResultListView.as_view(), name="lab_results"),
    path("patients/<uuid:pk>/symptom-notes/", SymptomNoteListView.as_view(), name="symptom_notes"),
    path("patients/<uuid:pk>/timeline/", TimelineView.as_view(), name="timeline"),
    path("studies/", StudyListView.as_view(), name="studies"),
    path("studies/<uuid:pk>/", StudyView.as_view(), name="study"),
    path("studies/<uuid:pk>/first-read/", FirstReadView.as_view(), name="first_read"),
    path("studies/<uuid:pk>/reveal/", RevealView.as_view(), name="reveal"),
    path("studies/<uuid:pk>/reviews/", ReviewListView.as_view(), name="reviews"),
    path("images/<uuid:pk>/", ImageView.as_view(), name="image"),
    path("images/<uuid:pk>/original/", OriginalView.as_view(), name="original"),
    path("images/<uuid:pk>/preview/", PreviewView.as_view(), name="preview"),
    path("models/", ModelListView.as_view(), name="models"),
    path("models/<int:pk>/", ModelView.as_view(), name="model"),
    path("predictions/<uuid:pk>/", PredictionView.as_view(), name="prediction"),
    path("predictions/<uuid:pk>/run-again/", RunAgainView.as_view(), name="run_again"),
    path("predictions/<uuid:pk>/heat-map/<str:label>/", HeatMapView.as_view(), name="heat_map"),
    *case_urls.urlpatterns,
    *report_urls.urlpatterns,
    re_path(r"^.*$", UnknownAddressView.as_view(), name="unknown"),
]

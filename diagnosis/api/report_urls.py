"""The addresses of reports; part of ``api.urls``."""

from django.urls import path

from diagnosis.api.views.reports import AddendumView, CorrectionView, ReportDraftView, ReportPdfView

urlpatterns = [
    path("studies/<uuid:pk>/report-draft/", ReportDraftView.as_view(), name="report_draft"),
    path("studies/<uuid:pk>/addenda/", AddendumView.as_view(), name="addenda"),
    path("studies/<uuid:pk>/corrections/", CorrectionView.as_view(), name="corrections"),
    path("reviews/<uuid:pk>/report/", ReportPdfView.as_view(), name="report"),
]

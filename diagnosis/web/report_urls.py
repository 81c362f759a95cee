"""The pages of reports; part of ``web.urls``."""

from django.urls import URLPattern, path

from diagnosis.web.views import reports

urlpatterns: list[URLPattern] = [
    path("studies/<uuid:study_id>/draft/", reports.draft, name="report_draft"),
    path("studies/<uuid:study_id>/draft/discard/", reports.draft_discard, name="report_draft_discard"),
    path("studies/<uuid:study_id>/report/", reports.report, name="report"),
    path("studies/<uuid:study_id>/report/addendum/", reports.addendum, name="report_addendum"),
    path("studies/<uuid:study_id>/report/correction/", reports.correction, name="report_correction"),
    path("reviews/<uuid:review_id>/report.pdf", reports.report_pdf, name="report_pdf"),
]

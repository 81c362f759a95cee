"""The addresses of second reads, discrepancies and critical results; part of ``api.urls``."""

from django.urls import path

from diagnosis.api.views import cases

urlpatterns = [
    path("studies/<uuid:pk>/second-read/", cases.SecondReadRequestView.as_view(), name="second_read_request"),
    path("studies/<uuid:pk>/show-read/", cases.ShowReadView.as_view(), name="show_read"),
    path("studies/<uuid:pk>/critical-results/", cases.CriticalFlagView.as_view(), name="critical_flag"),
    path("second-reads/", cases.SecondReadListView.as_view(), name="second_reads"),
    path("second-reads/<uuid:pk>/", cases.SecondReadView.as_view(), name="second_read"),
    path("second-reads/<uuid:pk>/take/", cases.SecondReadTakeView.as_view(), name="second_read_take"),
    path("second-reads/<uuid:pk>/return/", cases.SecondReadReturnView.as_view(), name="second_read_return"),
    path("second-reads/<uuid:pk>/sign/", cases.SecondReadSignView.as_view(), name="second_read_sign"),
    path("second-reads/<uuid:pk>/adjudicate/", cases.AdjudicateView.as_view(), name="adjudicate"),
    path(
        "second-reads/<uuid:pk>/withdraw/",
        cases.SecondReadWithdrawView.as_view(),
        name="second_read_withdraw",
    ),
    path("discrepancies/", cases.DiscrepancyListView.as_view(), name="discrepancies"),
    path(
        "discrepancies/<uuid:pk>/acknowledge/",
        cases.DiscrepancyAcknowledgeView.as_view(),
        name="discrepancy_acknowledge",
    ),
    path(
        "discrepancies/<uuid:pk>/resolve/", cases.DiscrepancyResolveView.as_view(), name="discrepancy_resolve"
    ),
    path("critical-results/", cases.CriticalResultListView.as_view(), name="critical_results"),
    path("critical-results/<uuid:pk>/", cases.CriticalResultView.as_view(), name="critical_result"),
    path(
        "critical-results/<uuid:pk>/acknowledge/",
        cases.CriticalAcknowledgeView.as_view(),
        name="critical_acknowledge",
    ),
    path(
        "critical-results/<uuid:pk>/communications/",
        cases.CommunicationListView.as_view(),
        name="critical_tell",
    ),
    path("critical-results/<uuid:pk>/cancel/", cases.CriticalCancelView.as_view(), name="critical_cancel"),
]

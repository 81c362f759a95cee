"""The pages of second reads, discrepancies and critical results; part of ``web.urls``."""

from django.urls import URLPattern, path

from diagnosis.web.views import critical_results, discrepancies, second_reads

urlpatterns: list[URLPattern] = [
    path("second-reads/", second_reads.queue, name="second_reads"),
    path("second-reads/<uuid:second_read_id>/take/", second_reads.take, name="second_read_take"),
    path("second-reads/<uuid:second_read_id>/return/", second_reads.give_back, name="second_read_return"),
    path("second-reads/<uuid:second_read_id>/sign/", second_reads.sign, name="second_read_sign"),
    path("second-reads/<uuid:second_read_id>/withdraw/", second_reads.withdraw, name="second_read_withdraw"),
    path("studies/<uuid:study_id>/second-read/", second_reads.request_one, name="second_read_request"),
    path("studies/<uuid:study_id>/show-read/", second_reads.waive, name="second_read_waive"),
    path(
        "discrepancies/<uuid:discrepancy_id>/acknowledge/",
        discrepancies.acknowledge,
        name="discrepancy_acknowledge",
    ),
    path("discrepancies/<uuid:discrepancy_id>/resolve/", discrepancies.resolve, name="discrepancy_resolve"),
    path("critical/", critical_results.results, name="critical_results"),
    path("critical/<uuid:result_id>/", critical_results.result, name="critical_result"),
    path("critical/<uuid:result_id>/acknowledge/", critical_results.acknowledge, name="critical_acknowledge"),
    path("critical/<uuid:result_id>/told/", critical_results.tell, name="critical_tell"),
    path("critical/<uuid:result_id>/cancel/", critical_results.cancel, name="critical_cancel"),
    path("studies/<uuid:study_id>/critical/", critical_results.flag, name="critical_flag"),
]

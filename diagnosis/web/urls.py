"""The pages. Addresses hold identifiers without meaning: no name, no record number, no search."""

from django.urls import URLPattern, URLResolver, path

from diagnosis.web import case_urls, report_urls
from diagnosis.web.views import archives, images, models, parts, patients, studies, uploads, worklist

app_name = "web"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", worklist.home, name="home"),
    path("worklist/search/", worklist.search, name="search"),
    path("worklist/refresh/", worklist.refresh, name="refresh"),
    path("uploads/", uploads.upload, name="upload"),
    path("uploads/waiting/", uploads.waiting, name="waiting"),
    path("uploads/confirm/", uploads.confirm, name="confirm"),
    path("uploads/confirm/patients/", uploads.patients, name="confirm_patients"),
    path("uploads/discard/", uploads.discard, name="discard"),
    path("uploads/parts/", parts.parts, name="parts"),
    path("uploads/parts/<uuid:upload_id>/", parts.part, name="part"),
    path("uploads/parts/<uuid:upload_id>/result/", parts.result, name="part_result"),
    path("uploads/<uuid:incoming_id>/thumbnail/", images.waiting_thumbnail, name="waiting_thumbnail"),
    path("uploads/<uuid:incoming_id>/preview/", images.waiting_preview, name="waiting_preview"),
    path("archives/", archives.archives, name="archives"),
    path("archives/fetch/", archives.fetch, name="fetch"),
    path("archives/retrievals/", archives.retrievals, name="retrievals"),
    path("studies/<uuid:study_id>/", studies.study_page, name="study"),
    path("studies/<uuid:study_id>/live/", studies.study_live, name="study_live"),
    path("studies/<uuid:study_id>/first-read/", studies.first_read, name="first_read"),
    path("studies/<uuid:study_id>/reveal/", studies.reveal, name="reveal"),
    path("studies/<uuid:study_id>/review/", studies.review, name="review"),
    path("predictions/<uuid:prediction_id>/run-again/", studies.run_again, name="run_again"),
    path("predictions/<uuid:prediction_id>/heat-map/<slug:label>.png", images.heat_map, name="heat_map"),
    path("models/", models.model_list, name="models"),
    path("models/<int:model_id>/", models.model_page, name="model"),
    path("models/<int:model_id>/card.json", models.model_card, name="model_card"),
    path("models/<int:model_id>/pictures/<slug:name>.png", models.model_picture, name="model_picture"),
    path("images/<uuid:image_id>/preview/", images.preview, name="preview"),
    path("images/<uuid:image_id>/thumbnail/", images.thumbnail, name="thumbnail"),
    path("images/<uuid:image_id>/original/", images.original, name="original"),
    path("images/<uuid:image_id>/viewing.json", images.viewing, name="viewing"),
    path("images/<uuid:image_id>/samples/", images.image_samples, name="samples"),
    path("patients/<uuid:patient_id>/", patients.patient_page, name="patient"),
    path("patients/<uuid:patient_id>/timeline/", patients.patient_timeline, name="timeline"),
    path("patients/<uuid:patient_id>/pcr-results/", patients.lab_results, name="lab_results"),
    path("patients/<uuid:patient_id>/symptom-notes/", patients.symptom_notes, name="symptom_notes"),
    *case_urls.urlpatterns,
    *report_urls.urlpatterns,
]

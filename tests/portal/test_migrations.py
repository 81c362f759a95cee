"""Records of an installed portal survive an upgrade of the database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.harness.portal import clean_environment, manage
from tests.harness.servers import postgres_database

# A signed read of one finished, one refused opinion, as the first version of the portal stored them.
BEFORE = """
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
apps = MigrationExecutor(connection).loader.project_state([("diagnosis", "0001_initial")]).apps
get = lambda name: apps.get_model("diagnosis", name)
site = get("Site").objects.create(name="Here")
user = get("User").objects.create(username="reader")
patient = get("Patient").objects.create(site=site, mrn="1", person_name="Example^Ana")
study = get("Study").objects.create(site=site, patient=patient, study_instance_uid="2.25.1", submitted_by=user)
version = get("ModelVersion").objects.create(name="old", version="1", sha256="0" * 64, labels=[], card={})
for number, values in enumerate((
    {"status": "done", "label": "covid19", "activation_maps": b"maps"},
    {"status": "refused", "reason": "No chest."},
)):
    image = get("Image").objects.create(
        site=site, study=study, uploaded_by=user, original_name="a", kind=("dicom", "png")[number],
        sha256=str(number) * 64, size=1, rows=1, columns=1, file="f", preview="p", thumbnail="t",
        header=({"series_instance_uid": "1.2.3", "transfer_syntax_uid": "1.2.4"}, {})[number],
    )
    get("Prediction").objects.create(image=image, model_version=version, queued_at=timezone.now(), **values)
get("Review").objects.create(
    study=study, reader=user, decision="confirm", label="covid19", label_display="C", seen_predictions=[]
)
"""

AFTER = """
from django.db import DatabaseError, transaction
from diagnosis.models import Image, Prediction, Review, Study
from diagnosis.selectors.studies import OpinionState, studies_with_state
done, refused = Prediction.objects.order_by("status")
print(done.possible_labels, done.is_unsure, refused.possible_labels, bytes(done.activation_maps))
print([state.value for state in OpinionState if studies_with_state(Study.objects.all(), state, viewer=None).exists()])
Prediction.objects.filter(pk=done.pk).update(possible_labels=["covid19", "normal"])
print([state.value for state in OpinionState if studies_with_state(Study.objects.all(), state, viewer=None).exists()])
columns = ("kind", "road", "series_instance_uid", "transfer_syntax_uid", "number_of_frames", "not_analysed_code")
print(*Image.objects.order_by("kind").values_list(*columns))
for change in (
    lambda: Image.objects.update(preview=""),
    lambda: Prediction.objects.filter(pk=done.pk).update(possible_labels=[]),
    lambda: Review.objects.update(label="x"),
):
    try:
        with transaction.atomic():
            change()
        print("changed")
    except DatabaseError as error:
        print("refused")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request, tmp_path) -> Iterator[dict[str, str]]:
    with contextlib.ExitStack() as stack:
        own = {"CXR_MODE": "embedded", "CXR_VAR_DIR": str(tmp_path)}
        if request.param == "postgresql":
            server = request.getfixturevalue("postgres")
            own["DATABASE_URL"] = stack.enter_context(postgres_database(server, "migrations"))
        yield clean_environment(**own)


@pytest.mark.xdist_group("production")
def test_opinions_of_before_name_their_one_label_and_signed_reads_stay_guarded(environment):
    manage(environment, "migrate", "diagnosis", "0001", "--verbosity", "0")
    manage(environment, "shell", "--no-imports", "--command", BEFORE)
    manage(environment, "migrate", "--verbosity", "0")
    assert manage(environment, "shell", "--no-imports", "--command", AFTER).splitlines() == [
        "['covid19'] False [] b'maps'",
        "['label', 'refused']",
        "['unsure', 'refused']",
        "('dicom', 'web', '1.2.3', '1.2.4', 1, '') ('png', 'web', '', '', 1, '')",
        "refused",
        "refused",
        "refused",
    ]

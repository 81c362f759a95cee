"""The listener as a hospital runs it: the service of ``docker-compose.yml``, on the PostgreSQL and the files of the others."""

import subprocess

import pytest

from ml.phantom import phantom_dicom
from tests.harness.binaries import require
from tests.harness.portal import compose_service, production_service
from tests.harness.processes import free_port

pytestmark = pytest.mark.xdist_group("production")

SETUP = """
from diagnosis.models import PacsPeer, Site, User
from diagnosis.services.accounts import membership_set, system_user
site, _ = Site.objects.get_or_create(name="Saint Example")
account, _ = User.objects.get_or_create(username="room-2")
membership_set(actor=system_user(), user=account, site=site, role="doctor")
PacsPeer.objects.get_or_create(
    site=site, name="Room 2", account=account, ae_title="ROOM2", may_send=True, networks="127.0.0.1"
)
"""


@pytest.fixture(scope="module")
def listening(production, tmp_path_factory):
    """Its port, and its process."""
    production.manage("shell", "--verbosity", "0", "-c", SETUP)
    port, folder = free_port(), tmp_path_factory.mktemp("listener")
    environment = {**production.env, "CXR_DICOM_PORT": str(port), "CXR_DICOM_HOST": "127.0.0.1"}
    with production_service("dicom-listener", environment, folder) as process:
        yield port, process


def dcmtk(program, port, *arguments):
    command = [require(program), "-v", "-aet", "ROOM2", "-aec", "CXRPORTAL", "127.0.0.1", str(port)]
    result = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    return result.returncode, result.stdout + result.stderr


def test_what_a_modality_pushes_is_in_the_record_of_the_other_processes(production, listening, tmp_path):
    port, _ = listening
    assert dcmtk("echoscu", port)[0] == 0
    path = tmp_path / "chest.dcm"
    path.write_bytes(
        phantom_dicom(1, rows=64, columns=60, sop_instance_uid="1.2.3.4.5", patient_id="DIMSE-1")
    )
    code, output = dcmtk("storescu", port, path)
    assert code == 0, output
    asked = (
        "from diagnosis.models import Image; image = Image.objects.get(sop_instance_uid='1.2.3.4.5');"
        "print(image.road, image.study.patient.mrn, image.file.size == image.size)"
    )
    assert production.manage("shell", "--no-imports", "-c", asked).split() == ["c_store", "DIMSE-1", "True"]


def test_it_ends_by_itself_within_its_grace_time(listening):
    _, process = listening
    seconds = int(compose_service("dicom-listener")["stop_grace_period"].removesuffix("s"))
    process.terminate()
    assert process.wait(seconds) == 0


def test_the_published_port_the_health_check_and_the_process_agree():
    service = compose_service("dicom-listener")
    port = service["environment"]["CXR_DICOM_PORT"]
    assert service["ports"] == [f"{port}:{port}"]
    assert f"('localhost', {port})" in service["healthcheck"]["test"][-1]


def test_the_workers_know_where_archives_are_to_send_by_c_move():
    listener, worker = (compose_service(name) for name in ("dicom-listener", "worker"))
    assert worker["environment"]["CXR_DICOM_PORT"] == listener["environment"]["CXR_DICOM_PORT"]


def test_it_is_started_only_where_a_hospital_asks_for_it():
    assert compose_service("dicom-listener")["profiles"] == ["dicom"]
    assert "profiles" not in compose_service("worker")

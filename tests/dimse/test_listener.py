"""C-ECHO and C-STORE with DCMTK and Orthanc as peers."""

import io
import socket
import threading

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from diagnosis.dimse import listener as listener_module
from diagnosis.dimse.listener import tls_context
from diagnosis.models import AuditEvent, Image, PacsPeer
from diagnosis.services.studies import FileOutcome, Receipt
from ml.imaging import load_image
from tests.dimse.conftest import CALLED, CALLING, cutting_line, dicom, echo, make_certificates
from tests.harness.portal import until


def arriving(listener) -> list[str]:
    """The parts of objects that lie where they arrive."""
    return [path.name for path in listener._folder.iterdir()]


# Who is let in


def test_a_known_peer_tries_the_line(listener):
    assert echo(listener.port).returncode == 0


@pytest.mark.parametrize(
    ("calling", "called"), [("STRANGER", CALLED), (CALLING.lower(), CALLED), (CALLING, "SOMEBODY")]
)
def test_another_title_is_rejected(listener, calling, called):
    said = echo(listener.port, calling=calling, called=called)
    assert said.returncode != 0
    assert "AE Title Not Recognized" in said.output


@pytest.mark.parametrize(
    "change",
    [{"networks": "10.1.2.0/24"}, {"is_active": False}, {"may_send": False}],
    ids=["another address", "inactive", "may not send"],
)
def test_a_peer_that_may_not_is_rejected_and_stores_nothing(listener, modality, send, change):
    PacsPeer.objects.filter(pk=modality.pk).update(**change)
    said = send(listener.port, dicom())
    assert said.returncode != 0
    assert "Calling AE Title Not Recognized" in said.output
    assert not Image.objects.exists()


def test_a_peer_whose_account_is_closed_is_rejected(listener, modality):
    modality.account.is_active = False
    modality.account.save()
    assert echo(listener.port).returncode != 0


def test_a_title_of_two_hospitals_at_one_address_is_nobodys(listener, modality, other_site, outsider):
    PacsPeer.objects.create(
        site=other_site,
        name="Theirs",
        account=outsider,
        ae_title=CALLING,
        may_send=True,
        networks="127.0.0.0/8",
    )
    assert echo(listener.port).returncode != 0


def test_no_more_associations_than_allowed(listen, modality):
    listener = listen(maximum_associations=1)
    first = AE(ae_title=CALLING)
    first.add_requested_context("1.2.840.10008.1.1")
    association = first.associate("127.0.0.1", listener.port, ae_title=CALLED)
    assert association.is_established
    assert "Local Limit Exceeded" in echo(listener.port).output
    association.release()
    until(lambda: echo(listener.port).returncode == 0, "an association after the first has ended")


# What is stored


def test_an_object_is_stored_at_the_peers_hospital_before_its_sender_is_told(listener, modality, send):
    content = dicom()
    said = send(listener.port, content)
    assert (said.returncode, "Received Store Response (Success)" in said.output) == (0, True)
    image = Image.objects.get()
    assert (image.site, image.uploaded_by, image.road) == (modality.site, modality.account, "c_store")
    sent, kept = pydicom.dcmread(io.BytesIO(content)), pydicom.dcmread(image.file.open())
    assert sent == kept
    assert AuditEvent.objects.get(action="image_stored").ip_address == "127.0.0.1"
    assert arriving(listener) == []


@pytest.mark.parametrize(
    ("syntax", "option"),
    [
        (uid.ImplicitVRLittleEndian, "-xi"),
        (uid.ExplicitVRLittleEndian, "-xe"),
        (uid.ExplicitVRBigEndian, "-xb"),
        (uid.RLELossless, "-xr"),
        (uid.JPEGLSLossless, "-xt"),
        (uid.JPEG2000Lossless, "-xv"),
        (uid.JPEG2000, "-xw"),
        (uid.JPEGBaseline8Bit, "-xy"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_object_keeps_the_transfer_syntax_that_it_was_sent_in(listener, send, syntax, option):
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    content = dicom(transfer_syntax=syntax, bits_stored=bits)
    said = send(listener.port, content, options=[option])
    assert said.returncode == 0, said.output
    image = Image.objects.get()
    assert image.header["transfer_syntax_uid"] == syntax
    np.testing.assert_array_equal(load_image(image.file.read()).pixels, load_image(content).pixels)


def test_many_objects_come_over_one_association(listener, send):
    said = send(listener.port, *(dicom(seed, study_instance_uid="1.2.3") for seed in range(3)))
    assert said.returncode == 0
    assert Image.objects.filter(study__study_instance_uid="1.2.3").count() == 3


def test_the_same_object_again_is_a_success_and_stored_once(listener, send):
    for _ in range(2):
        assert send(listener.port, dicom()).returncode == 0
    assert Image.objects.count() == 1


# What is not


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [
        (FileOutcome.REFUSED, "corrupt", "C000"),
        (FileOutcome.REFUSED, "unsupported_transfer_syntax", "C122"),
        (FileOutcome.REFUSED, "technical_error", "A700"),
        (FileOutcome.REFUSED, "permission_denied", "0124"),
    ],
)
def test_a_refusal_is_a_status_with_the_sentence(listener, monkeypatch, outcome, code, status):
    sentence = "The file is damaged. Export it again."
    monkeypatch.setattr(
        listener_module, "receive_unattended", lambda **_: Receipt("a.dcm", outcome, sentence, code=code)
    )
    answer = _store(listener.port, dicom())
    assert (f"{answer.Status:04X}", answer.ErrorComment) == (status, sentence)


def test_a_held_object_is_kept_so_its_sender_may_forget_it(listener, monkeypatch):
    receipt = Receipt("a.dcm", FileOutcome.HELD, "Another name.", code="patient_differs")
    monkeypatch.setattr(listener_module, "receive_unattended", lambda **_: receipt)
    assert _store(listener.port, dicom()).Status == 0


def test_a_damaged_object_is_refused_and_the_next_one_stored(listener):
    answer = _store(listener.port, dicom(1, elements={"StudyInstanceUID": None}))
    assert answer.Status == 0xC000
    assert answer.ErrorComment.startswith("The DICOM file breaks the standard: its StudyInstanceUID")
    assert not Image.objects.exists()
    assert _store(listener.port, dicom(2)).Status == 0
    assert Image.objects.count() == 1


def test_an_error_of_ours_is_no_success(listener, monkeypatch):
    def fail(**_):
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(listener_module, "receive_unattended", fail)
    answer = _store(listener.port, dicom())
    assert answer.Status == 0xA700
    assert "fire" not in answer.ErrorComment


def test_an_object_of_another_identity_than_announced_is_refused(listener):
    assert _store(listener.port, dicom(), announced="1.2.3.4").Status == 0xA900
    assert not Image.objects.exists()


def _store(port, content, *, announced=None):
    """A C-STORE whose answer is looked at whole."""
    ds = pydicom.dcmread(io.BytesIO(content))
    ae = AE(ae_title=CALLING)
    ae.add_requested_context(ComputedRadiographyImageStorage, uid.ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title=CALLED)
    assert association.is_established
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = ds.SOPClassUID
    request.AffectedSOPInstanceUID = announced or ds.SOPInstanceUID
    request.DataSet = io.BytesIO(encode(ds, False, True))
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    return answer


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_of_an_object_whose_line_breaks_nothing_is_kept(listener, send, share):
    content = dicom(rows=400, columns=380)
    with cutting_line(listener.port, int(len(content) * share)) as port:
        assert send(port, content).returncode != 0
    until(lambda: arriving(listener) == [], "the removal of what had arrived")
    assert not Image.objects.exists()
    assert send(listener.port, content).returncode == 0
    assert Image.objects.count() == 1


def test_an_object_over_the_limit_ends_the_association_and_nothing_else(listen, modality, send):
    listener = listen(maximum_object_bytes=200_000)
    assert send(listener.port, dicom(rows=1600, columns=1200)).returncode != 0
    until(lambda: arriving(listener) == [], "the removal of what had arrived")
    assert send(listener.port, dicom(2)).returncode == 0
    assert Image.objects.count() == 1


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        # An association request that claims to have 4 GB.
        b"\x01\x00\xff\xff\xff\xff" + b"\x00" * 100,
        b"\x04\x00\x00\x00\x00\x10" + b"\xff" * 16,
        b"",
    ],
    ids=["http", "4 GB", "data before an association", "nothing"],
)
def test_noise_on_the_port_harms_nobody(listener, noise):
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as connection:
        connection.sendall(noise)
        assert echo(listener.port).returncode == 0


def test_an_object_that_has_arrived_is_stored_when_the_listener_is_stopped(listener, send, monkeypatch):
    port, entered, go_on = listener.port, threading.Event(), threading.Event()
    real = listener_module.receive_unattended

    def slow(**arguments):
        entered.set()
        assert go_on.wait(30)
        return real(**arguments)

    monkeypatch.setattr(listener_module, "receive_unattended", slow)
    results = []
    sender = threading.Thread(target=lambda: results.append(send(port, dicom())))
    sender.start()
    assert entered.wait(30)
    stopper = threading.Thread(target=listener.stop)
    stopper.start()
    go_on.set()
    stopper.join(30)
    sender.join(30)
    assert Image.objects.count() == 1
    assert "Received Store Response (Success)" in results[0].output
    assert echo(port).returncode != 0


# TLS


@pytest.fixture
def certificates(tmp_path):
    return make_certificates(tmp_path, "listener"), make_certificates(tmp_path, "modality")


def test_over_tls_a_peer_with_a_trusted_certificate_stores(listen, modality, certificates, send):
    (certificate, key), (peer_certificate, peer_key) = certificates
    listener = listen(tls=tls_context(certificate=certificate, key=key, authority=peer_certificate))
    tls = ["+tls", peer_key, peer_certificate, "+cf", certificate]
    # Somebody who opens a connection and says nothing holds up nobody.
    with socket.create_connection(("127.0.0.1", listener.port)):
        said = send(listener.port, dicom(), options=tls)
    assert said.returncode == 0, said.output
    assert Image.objects.count() == 1


def test_over_tls_nobody_else_is_let_in(listen, modality, certificates, send):
    (certificate, key), (peer_certificate, _) = certificates
    listener = listen(tls=tls_context(certificate=certificate, key=key, authority=peer_certificate))
    assert send(listener.port, dicom()).returncode != 0
    assert send(listener.port, dicom(), options=["+tla", "+cf", certificate]).returncode != 0
    assert (
        send(listener.port, dicom(), options=["+tls", key, certificate, "+cf", certificate]).returncode != 0
    )
    assert not Image.objects.exists()


# Orthanc


@pytest.mark.xdist_group("orthanc")
def test_orthanc_pushes_by_c_store(listener, modality, orthanc):
    PacsPeer.objects.filter(pk=modality.pk).update(ae_title="ORTHANC")
    orthanc.know_modality("portal", CALLED, listener.port)
    content = dicom(transfer_syntax=uid.JPEG2000Lossless)
    response = orthanc.push_by_c_store("portal", orthanc.store(content))
    assert response.ok, response.text
    image = Image.objects.get()
    assert image.header["transfer_syntax_uid"] == uid.JPEG2000Lossless
    np.testing.assert_array_equal(load_image(image.file.read()).pixels, load_image(content).pixels)

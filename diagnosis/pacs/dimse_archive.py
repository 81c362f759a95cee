"""An archive asked by C-FIND, whose studies come by C-GET or C-MOVE (PS3.4 annex C)."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from typing import Any, cast

from django.conf import settings
from django.utils.translation import gettext_noop
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE, AllStoragePresentationContexts, _config, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from diagnosis.models import PacsPeer, RetrieveMethod
from diagnosis.pacs.archive import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    MOST_STUDIES,
    RETURNED,
    ArchiveUnavailable,
    FoundStudy,
    StudyQuery,
    Take,
)
from diagnosis.sentences import Sentence

# pynetdicom's log would hold what is asked and answered: names, birth dates, record numbers.
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False

# Study Root Query/Retrieve Information Model (PS3.4 C.6.2.3).
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = UID("1.2.840.10008.5.1.4.1.2.2.3")

PENDING = (0xFF00, 0xFF01)
MOVE_DESTINATION_UNKNOWN = 0xA801  # PS3.4 C.4.2.1.5. Some archives answer with a general failure instead.
KNOWN_TO_THE_ARCHIVE = Sentence(
    gettext_noop(
        "By C-MOVE it must know the AE title, the address and the port of this portal's DICOM listener, and the "
        "listener must let it "
        "send."
    )
)
MOST_CONTEXTS = 128  # PS3.8 9.3.2.2
NATIVE = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
#: Each proposed by itself, so that an archive can send an object as it has it and need not decompress it.
COMPRESSED = [
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    RLELossless,
    DeflatedExplicitVRLittleEndian,
]
#: The kinds of object that hold a chest X-ray.
PROJECTIONS = [
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
]


class DimseArchive:
    def __init__(self, peer: PacsPeer) -> None:
        self._peer = peer

    def find(self, query: StudyQuery) -> list[FoundStudy]:
        identifier = Dataset()
        identifier.SpecificCharacterSet = "ISO_IR 192"
        identifier.QueryRetrieveLevel = "STUDY"
        for keyword in RETURNED:
            setattr(identifier, keyword, query.keys.get(keyword, ""))
        found: list[FoundStudy] = []
        model = FIND
        ae = self._ae()
        ae.add_requested_context(model)
        with self._association(ae) as association:
            status = 0xC000
            for answer, ds in association.send_c_find(identifier, model):
                status = self._status(answer)
                if status in PENDING and ds is not None:
                    study = FoundStudy.of(ds)
                    found += [study] if study else []
                if len(found) >= MOST_STUDIES:
                    association.send_c_cancel(1, query_model=model)
                    return found
            if status != 0:
                raise self._unavailable(
                    Sentence(gettext_noop("It refused the search (status {status})."), status=f"{status:04X}")
                )
        return found

    def retrieve(self, study_instance_uid: str, take: Take) -> int:
        if self._peer.retrieve_method == RetrieveMethod.C_MOVE:
            return self._move(study_instance_uid)
        return self._get(study_instance_uid, take)

    def _get(self, study_instance_uid: str, take: Take) -> int:
        model = GET
        ae = self._ae()
        ae.add_requested_context(model)
        kinds = [
            *PROJECTIONS,
            *(
                UID(str(context.abstract_syntax))
                for context in AllStoragePresentationContexts
                if context.abstract_syntax not in PROJECTIONS
            ),
        ][: MOST_CONTEXTS - 1 - len(PROJECTIONS) * len(COMPRESSED)]
        for kind in kinds:
            ae.add_requested_context(kind, NATIVE)
        for kind in PROJECTIONS:
            for syntax in COMPRESSED:
                ae.add_requested_context(kind, syntax)
        roles = [build_role(kind, scp_role=True) for kind in kinds]
        failures: list[BaseException] = []

        def on_store(event: Event) -> int:
            try:
                take(event.encoded_dataset())
            except BaseException as error:  # noqa: BLE001  Raised again where the caller can see it.
                failures.append(error)
                return 0xA700
            return 0

        with self._association(ae, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, on_store)]) as association:
            answers = association.send_c_get(_study(study_instance_uid), model)
            sent = self._finish(answers)
        if failures:
            raise failures[0]
        return sent

    def _move(self, study_instance_uid: str) -> int:
        if settings.CXR_DICOM_PORT is None:
            raise self._unavailable(
                Sentence(
                    gettext_noop(
                        "It sends by C-MOVE to this portal's DICOM listener, and there is none (CXR_DICOM_PORT)."
                    )
                )
            )
        model = MOVE
        ae = self._ae()
        ae.add_requested_context(model)
        with self._association(ae) as association:
            answers = association.send_c_move(_study(study_instance_uid), settings.CXR_DICOM_AE_TITLE, model)
            return self._finish(answers)

    def _finish(self, answers: Iterator[tuple[Dataset, Dataset | None]]) -> int:
        """How many objects were sent. Raises ``ArchiveUnavailable`` when some were not."""
        status, sent, failed = 0xC000, 0, 0
        for answer, _ in answers:
            status = self._status(answer)
            sent = int(answer.get("NumberOfCompletedSuboperations") or 0) + int(
                answer.get("NumberOfWarningSuboperations") or 0
            )
            failed = int(answer.get("NumberOfFailedSuboperations") or 0)
        if status == MOVE_DESTINATION_UNKNOWN:
            raise self._not_sent(
                Sentence(
                    gettext_noop("It does not know where this portal is. {hint}"), hint=KNOWN_TO_THE_ARCHIVE
                )
            )
        if (status or failed) and not sent:
            nothing = Sentence(gettext_noop("It sent nothing (status {status})."), status=f"{status:04X}")
            if self._peer.retrieve_method != RetrieveMethod.C_MOVE:
                raise self._not_sent(nothing)
            raise self._not_sent(Sentence("{nothing} {hint}", nothing=nothing, hint=KNOWN_TO_THE_ARCHIVE))
        if status or failed:
            raise self._not_sent(
                Sentence(
                    gettext_noop(
                        "It could not send all objects (status {status}, {failed} failed). What had arrived is stored; "
                        "fetch the study again for the rest."
                    ),
                    status=f"{status:04X}",
                    failed=failed,
                )
            )
        return sent

    def _status(self, answer: Dataset) -> int:
        """Raises ``ArchiveUnavailable`` for the empty answer that stands for a broken line."""
        if "Status" not in answer:
            raise self._unavailable(Sentence(gettext_noop("The connection broke off.")))
        return int(answer.Status)

    def _ae(self) -> AE:
        ae = AE(ae_title=settings.CXR_DICOM_AE_TITLE)
        ae.connection_timeout = ae.acse_timeout = CONNECT_SECONDS
        ae.dimse_timeout = ae.network_timeout = ANSWER_SECONDS
        return ae

    @contextlib.contextmanager
    def _association(self, ae: AE, **arguments: Any) -> Iterator[Association]:
        peer = self._peer
        tls = self._tls()
        association = ae.associate(
            peer.host,
            cast(int, peer.port),
            ae_title=peer.ae_title,
            tls_args=(tls, peer.host) if tls else None,
            **arguments,
        )
        if not association.is_established:
            reason = (
                Sentence(gettext_noop("It does not know this portal (it rejected the association)."))
                if association.is_rejected
                else Sentence(gettext_noop("It does not answer."))
            )
            raise self._unavailable(reason)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _tls(self) -> ssl.SSLContext | None:
        if not self._peer.uses_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=settings.CXR_DICOM_TLS_AUTHORITY)
            if settings.CXR_DICOM_TLS_CERTIFICATE is not None:
                context.load_cert_chain(settings.CXR_DICOM_TLS_CERTIFICATE, settings.CXR_DICOM_TLS_KEY)
        except OSError:
            raise self._unavailable(
                Sentence(gettext_noop("The portal's own certificate cannot be read."))
            ) from None
        return context

    def _not_sent(self, reason: Sentence) -> ArchiveUnavailable:
        return ArchiveUnavailable(
            Sentence(
                gettext_noop(
                    "The archive {name} did not send the study. {reason} Tell an administrator if it happens again."
                ),
                name=self._peer.name,
                reason=reason,
            )
        )

    def _unavailable(self, reason: Sentence) -> ArchiveUnavailable:
        return ArchiveUnavailable(
            Sentence(
                gettext_noop(
                    "The archive {name} could not be asked. {reason} Try again later, or tell an administrator."
                ),
                name=self._peer.name,
                reason=reason,
            )
        )


def _study(study_instance_uid: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    return identifier

"""Takes in what modalities and archives push: C-STORE, and C-ECHO to try the line."""

from __future__ import annotations

import contextlib
import logging
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, close_old_connections
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE

from diagnosis.dimse.peers import UnknownPeer, sending_peer
from diagnosis.dimse.status import (
    DOES_NOT_MATCH,
    NOT_AUTHORISED,
    OUT_OF_RESOURCES,
    SUCCESS,
    error_comment,
    status_of,
)
from diagnosis.dimse.transport import MAXIMUM_PDU, Server
from diagnosis.intake.dicom_header import read_few
from diagnosis.intake.spool import Spool
from diagnosis.intake.unattended import receive_unattended
from diagnosis.limits import image_limits
from diagnosis.models import PacsPeer, Road
from diagnosis.request_context import calling_from
from diagnosis.sentences import Sentence

logger = logging.getLogger(__name__)

# PS3.8 9.3.4: result, source and reason of a rejection.
CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
TEMPORARY_CONGESTION = (2, 3, 1)

RELEASE_SECONDS = 2

TOO_LARGE = "The object is larger than the limit. It was not stored."
VERIFICATION = UID("1.2.840.10008.1.1")

STOPPING = "The listener is being stopped. Send the object again."


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    host: str
    port: int
    ae_title: str
    maximum_associations: int
    maximum_object_bytes: int
    tls: ssl.SSLContext | None
    incoming_dir: Path
    """Objects lie here while they arrive; on the file system of the stored ones."""


def tls_context(*, certificate: Path, key: Path, authority: Path | None) -> ssl.SSLContext:
    """With ``authority`` only peers whose certificate it signed are let in. Raises OSError (``ssl.SSLError`` included)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.load_cert_chain(certificate, key)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Listener:
    """The service class provider. Every object is in the record, or held, before its sender is told of success."""

    def __init__(self, options: ListenerOptions) -> None:
        self._options = options
        self._peers: WeakKeyDictionary[Association, PacsPeer] = WeakKeyDictionary()
        self._received: WeakKeyDictionary[Association, int] = WeakKeyDictionary()
        self._storing = 0
        self._stopping = False
        self._idle = threading.Condition()
        self._server: Server | None = None
        self._folder = options.incoming_dir / "dicom-listener"

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("The listener is not started.")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen. Raises OSError when the port cannot be had."""
        # A listener that was killed leaves the parts of objects behind that it was receiving.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, mode=0o750)
        tempfile.tempdir = str(self._folder)
        # To a file and not into memory: of an object, however large, one protocol data unit is held.
        _config.STORE_RECV_CHUNKED_DATASET = True
        # Private and future storage classes are taken like the known ones.
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        _config.LOG_HANDLER_LEVEL = "none"
        ae = AE(ae_title=self._options.ae_title)
        ae.require_called_aet = True
        ae.maximum_associations = self._options.maximum_associations
        ae.maximum_pdu_size = MAXIMUM_PDU
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(UID(str(context.abstract_syntax)), ALL_TRANSFER_SYNTAXES)
        ae.add_supported_context(VERIFICATION)
        self._server = cast(
            Server,
            ae.make_server(
                (self._options.host, self._options.port),
                ssl_context=self._options.tls,
                evt_handlers=[
                    (evt.EVT_REQUESTED, self._on_requested),
                    (evt.EVT_DATA_RECV, self._on_data),
                    (evt.EVT_CONN_CLOSE, self._on_close),
                    (evt.EVT_C_ECHO, self._on_echo),
                    (evt.EVT_C_STORE, self._on_store),
                ],
                server_class=Server,
            ),
        )
        ae._servers.append(self._server)
        threading.Thread(target=self._server.serve_forever, name="dicom-listener", daemon=True).start()

    def stop(self, seconds: float = 20) -> None:
        """Take no new association, finish the objects that are whole, then end the associations: senders try again."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        with self._idle:
            self._stopping = True
            self._idle.wait_for(lambda: self._storing == 0, timeout=seconds)
        # The last answer is on its way to its sender, who then releases the association.
        deadline = time.monotonic() + RELEASE_SECONDS
        while server.active_associations and time.monotonic() < deadline:
            time.sleep(0.05)
        for association in server.active_associations:
            association.abort()
        shutil.rmtree(self._folder, ignore_errors=True)

    # The association

    def _on_requested(self, event: Event) -> None:
        """Let in who is known, by AE title and address."""
        association = event.assoc
        request = cast(A_ASSOCIATE, association.requestor.primitive)
        title, address = str(request.calling_ae_title).strip(), association.requestor.address
        close_old_connections()
        try:
            self._peers[association] = sending_peer(ae_title=title, address=address)
        except UnknownPeer as reason:
            logger.warning(
                "An association was rejected: %s", reason, extra={"ae_title": title, "address": address}
            )
            self._reject(association, CALLING_AE_TITLE_NOT_RECOGNIZED)
        except DatabaseError:
            logger.exception("An association was rejected: the database does not answer.")
            self._reject(association, TEMPORARY_CONGESTION)

    @staticmethod
    def _reject(association: Association, reason: tuple[int, int, int]) -> None:
        association.acse.send_reject(*reason)
        association.kill()

    def _on_data(self, event: Event) -> None:
        """End an association whose object grows over the limit: it would fill the disk before anybody looked at it."""
        association = event.assoc
        size = self._received.get(association, 0) + len(event.data)
        self._received[association] = size
        # The object's own bytes and what the protocol adds: 12 bytes to each unit of data.
        if size > self._options.maximum_object_bytes * 1.1 + MAXIMUM_PDU and association.is_established:
            logger.warning("An association was ended: %s", TOO_LARGE)
            self._received[association] = 0
            association.abort()

    def _on_close(self, event: Event) -> None:
        """Throw away the part of an object whose rest will not come."""
        message: Any = event.assoc.dimse.message
        part = getattr(message, "_data_set_file", None)
        if part is not None:
            with contextlib.suppress(OSError):  # What it could not write before it cannot write now.
                part.close()
            Path(part.name).unlink(missing_ok=True)

    # The services

    def _on_echo(self, event: Event) -> int:
        self._received[event.assoc] = 0
        return SUCCESS

    def _on_store(self, event: Event) -> int | Dataset:
        self._received[event.assoc] = 0
        with self._storing_one() as may_store:
            if not may_store:
                return _answer(OUT_OF_RESOURCES, STOPPING)
            peer = self._peers[event.assoc]
            with calling_from(event.assoc.requestor.address):
                return self._store(peer, event)

    def _store(self, peer: PacsPeer, event: Event) -> int | Dataset:
        uid = str(cast(C_STORE, event.request).AffectedSOPInstanceUID)
        path = event.dataset_path
        if path.stat().st_size > self._options.maximum_object_bytes:
            return _answer(OUT_OF_RESOURCES, TOO_LARGE)
        if not _is_what_was_announced(path, uid):
            return _answer(DOES_NOT_MATCH, "The object has another SOP Instance UID than its command says.")
        close_old_connections()
        try:
            with Spool.around(path) as spool:
                receipt = receive_unattended(
                    actor=peer.account, site=peer.site, content=spool, name=f"{uid}.dcm", road=Road.C_STORE
                )
        except PermissionDenied as error:
            return _answer(NOT_AUTHORISED, str(error))
        except Exception:
            # Whatever it was, the sender must not believe that the object is stored.
            logger.exception("An object could not be stored.")
            return _answer(OUT_OF_RESOURCES, "The object could not be stored. Send it again later.")
        status = status_of(receipt)
        logger.info(
            "Received an object.",
            extra={
                "peer": peer.pk,
                "outcome": str(receipt.outcome),
                "code": receipt.code,
                "status": f"{status:04X}",
            },
        )
        return status if status == SUCCESS else _answer(status, Sentence.of(receipt.reason).english)

    @contextlib.contextmanager
    def _storing_one(self) -> Iterator[bool]:
        with self._idle:
            may_store = not self._stopping
            self._storing += may_store
        try:
            yield may_store
        finally:
            with self._idle:
                self._storing -= may_store
                self._idle.notify_all()


def _is_what_was_announced(path: Path, uid: str) -> bool:
    """Whether the data set has the SOP Instance UID of the command; one that cannot be read is refused by the intake."""
    try:
        ds = read_few(path, ["SOPInstanceUID"], limits=image_limits())
        return str(ds.get("SOPInstanceUID", uid)) == uid
    except Exception:  # noqa: BLE001  A damaged data set makes the parser raise anything.
        return True


def _answer(status: int, sentence: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = error_comment(sentence)
    return answer

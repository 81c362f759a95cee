"""The other DICOM systems of a hospital: those that send images here, and the archives that are asked for them."""

import ipaddress
import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator, URLValidator
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from diagnosis.models.patient import no_control_characters
from diagnosis.models.scoped import SiteScopedQuerySet
from diagnosis.sentences import SentenceField

# PS3.5 6.2: VR AE, 16 characters without backslash and control characters; blanks at the ends mean nothing.
ae_title = RegexValidator(
    r"^(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )$",
    gettext_lazy(
        "An AE title has 1 to 16 letters, digits or signs, no backslash, and no blank at either end."
    ),
)
host_name = RegexValidator(
    r"^[A-Za-z0-9]([A-Za-z0-9.:_-]{0,253}[A-Za-z0-9])?$",
    gettext_lazy("Enter the name of a host or its IP address."),
)
secret_name = RegexValidator(
    r"^CXR_PACS_[A-Z0-9_]{1,50}$",
    gettext_lazy("Enter the name of an environment variable that begins with CXR_PACS_."),
)


def validate_networks(value: str) -> None:
    for part in value.split(","):
        try:
            ipaddress.ip_network(part.strip())
        except ValueError:
            raise ValidationError(
                _(
                    "“%(part)s” is no IP address and no network such as 10.1.2.0/24. Separate several with commas."
                ),
                params={"part": part.strip()},
            ) from None


class QueryProtocol(models.TextChoices):
    """How an archive is asked for studies."""

    DIMSE = "dimse", gettext_lazy("C-FIND")
    DICOMWEB = "dicomweb", gettext_lazy("QIDO-RS")


class RetrieveMethod(models.TextChoices):
    """How the images of a study are fetched from an archive that is asked by C-FIND."""

    C_GET = "c_get", gettext_lazy("C-GET: over the same connection")
    C_MOVE = "c_move", gettext_lazy("C-MOVE: it sends them to this portal's DICOM listener")


class PacsPeer(models.Model):
    """One DICOM system of one hospital. What comes from it is stored at that hospital in the name of ``account``."""

    site_lookup = "site"

    site = models.ForeignKey("diagnosis.Site", on_delete=models.PROTECT, related_name="pacs_peers")
    name = models.CharField(
        max_length=100,
        validators=[no_control_characters],
        help_text=gettext_lazy("As people call it, such as “X-ray room 2”."),
    )
    is_active = models.BooleanField(
        default=True, help_text=gettext_lazy("An inactive one is neither asked nor listened to.")
    )
    account = models.ForeignKey(
        "diagnosis.User",
        on_delete=models.PROTECT,
        related_name="+",
        help_text=gettext_lazy(
            "The service account that what it sends is stored by: an account without a password whose one role is "
            "doctor at this site."
        ),
    )
    ae_title = models.CharField(gettext_lazy("AE title"), max_length=16, blank=True, validators=[ae_title])
    may_send = models.BooleanField(
        gettext_lazy("may send images"),
        default=False,
        help_text=gettext_lazy(
            "It may send images here by C-STORE, under its AE title and from the addresses below."
        ),
    )
    networks = models.CharField(
        "addresses",
        max_length=400,
        blank=True,
        validators=[validate_networks],
        help_text=gettext_lazy("IP addresses or networks that it calls from, separated by commas."),
    )
    query_protocol = models.CharField(
        gettext_lazy("asked by"),
        max_length=8,
        choices=QueryProtocol,
        blank=True,
        help_text=gettext_lazy("Empty: it is not asked for images from the worklist."),
    )
    host = models.CharField(max_length=255, blank=True, validators=[host_name])
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    uses_tls = models.BooleanField("TLS", default=False, help_text=gettext_lazy("DIMSE over TLS."))
    retrieve_method = models.CharField(
        max_length=8,
        choices=RetrieveMethod,
        default=RetrieveMethod.C_GET,
        help_text=gettext_lazy("Where asked by C-FIND."),
    )
    dicomweb_url = models.CharField(
        gettext_lazy("DICOMweb address"),
        max_length=400,
        blank=True,
        validators=[URLValidator(schemes=["http", "https"])],
        help_text=gettext_lazy(
            "Without /studies at its end, such as https://pacs.hospital.example/dicom-web."
        ),
    )
    secret_name = models.CharField(
        max_length=64,
        blank=True,
        validators=[secret_name],
        help_text=gettext_lazy(
            "The environment variable that holds the value of the Authorization header for DICOMweb, such as "
            "CXR_PACS_ARCHIVE. The value itself is never stored."
        ),
    )

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("PACS peer")
        ordering = ["site", "name"]
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="pacs_peer_name_unique_at_site"),
            models.CheckConstraint(
                condition=models.Q(query_protocol__in=["", *QueryProtocol.values]),
                name="pacs_peer_query_protocol_known",
            ),
            models.CheckConstraint(
                condition=models.Q(retrieve_method__in=RetrieveMethod.values),
                name="pacs_peer_retrieve_method_known",
            ),
            models.CheckConstraint(
                condition=models.Q(may_send=False) | (~models.Q(ae_title="") & ~models.Q(networks="")),
                name="pacs_peer_sender_is_known_by_title_and_address",
            ),
            models.CheckConstraint(
                condition=~models.Q(query_protocol="dimse")
                | (~models.Q(ae_title="") & ~models.Q(host="") & models.Q(port__isnull=False)),
                name="pacs_peer_dimse_has_address",
            ),
            models.CheckConstraint(
                condition=~models.Q(query_protocol="dicomweb") | ~models.Q(dicomweb_url=""),
                name="pacs_peer_dicomweb_has_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.site})"

    def clean(self) -> None:
        """What the database checks too, each with a sentence at its field."""
        errors: dict[str, str] = {}
        if self.may_send or self.query_protocol == QueryProtocol.DIMSE:
            errors |= {"ae_title": _("Enter its AE title.")} if not self.ae_title else {}
        if self.may_send and not self.networks:
            errors["networks"] = _(
                "Enter the addresses that it calls from: an AE title alone can be claimed by anybody."
            )
        if self.query_protocol == QueryProtocol.DIMSE:
            errors |= {"host": _("Enter its host.")} if not self.host else {}
            errors |= {"port": _("Enter its port.")} if self.port is None else {}
        if self.query_protocol == QueryProtocol.DICOMWEB and not self.dicomweb_url:
            errors["dicomweb_url"] = _("Enter its DICOMweb address.")
        if errors:
            raise ValidationError(errors)

    def calls_from(self, address: str) -> bool:
        """Whether ``address``, an IP address, is one of those that it calls from."""
        caller = ipaddress.ip_address(address)
        if isinstance(caller, ipaddress.IPv6Address) and caller.ipv4_mapped:
            caller = caller.ipv4_mapped
        return any(caller in ipaddress.ip_network(part.strip()) for part in self.networks.split(","))

    @property
    def is_asked(self) -> bool:
        return bool(self.query_protocol)


class RetrievalStatus(models.TextChoices):
    QUEUED = "queued", gettext_lazy("Waiting")
    RUNNING = "running", gettext_lazy("Running")
    DONE = "done", gettext_lazy("Done")
    FAILED = "failed", gettext_lazy("Failed")


class PacsRetrieval(models.Model):
    """One study that somebody fetches from an archive. The row is the job; the broker's message is only a hint."""

    site_lookup = "peer__site"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    peer = models.ForeignKey(PacsPeer, on_delete=models.PROTECT, related_name="retrievals")
    requested_by = models.ForeignKey("diagnosis.User", on_delete=models.PROTECT, related_name="+")
    study_instance_uid = models.CharField(max_length=64)
    status = models.CharField(
        max_length=8, choices=RetrievalStatus, default=RetrievalStatus.QUEUED, editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(
        null=True, help_text="A running retrieval whose lease has run out is taken up again."
    )
    outcomes = models.JSONField(default=dict, help_text="How many objects were stored, known, held, refused.")
    reason = SentenceField(max_length=500, blank=True, help_text="Why it failed, for the person who asked.")
    requested_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = SiteScopedQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=RetrievalStatus.values), name="pacs_retrieval_status_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(status="failed") | ~models.Q(reason=""),
                name="pacs_retrieval_failure_has_reason",
            ),
            models.UniqueConstraint(
                fields=["peer", "study_instance_uid"],
                condition=models.Q(status__in=["queued", "running"]),
                name="pacs_retrieval_once_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"Retrieval {self.pk}"

    @property
    def is_final(self) -> bool:
        return self.status in (RetrievalStatus.DONE, RetrievalStatus.FAILED)

"""Everything that an installation may set, read once from environment variables.

The table in ``docs/operations.md`` lists each with its default; a test holds the two equal. Every variable may also be given as
``NAME_FILE``, the path of a file that holds the value (for secrets mounted as files).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import available_timezones

import dj_database_url
import dj_email_url
from environs import EnvError, EnvValidationError, FileAwareEnv
from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range

from cxr_portal.private_files import read_or_create

BASE_DIR = Path(__file__).resolve().parent.parent
Mode = Literal["embedded", "production"]
Runtime = Literal["onnx", "keras"]


class BadSetting(SystemExit):
    """Stops the start with one line on standard error that names the variable and says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    mode: Mode
    var_dir: Path
    media_dir: Path
    incoming_dir: Path
    static_dir: Path
    secret_key: str
    audit_hmac_key: str
    deidentification_key: str
    database: dict[str, Any]
    redis_url: str | None
    """``None`` in the embedded mode: the broker is a folder and the cache is files."""
    email: dict[str, Any]
    allowed_hosts: list[str]
    public_url: str
    """Without a slash at the end; mails lead to it."""
    csrf_trusted_origins: list[str]
    dicomweb_origins: list[str]
    """Where viewers in a browser may come from, besides the portal itself."""
    ssl_redirect: bool
    trusted_proxy_count: int
    session_idle_seconds: int
    session_max_seconds: int
    token_hours: int
    max_upload_bytes: int
    unfinished_upload_bytes: int
    upload_kept_hours: int
    max_pixels: int
    archive_max_files: int
    archive_max_bytes: int
    decoders: int
    decode_seconds: int
    decode_memory_bytes: int
    orphan_grace_seconds: int
    dicom_port: int | None
    """``None``: nobody sends by C-STORE, and no listener is started."""
    dicom_host: str
    dicom_ae_title: str
    dicom_max_associations: int
    dicom_tls_certificate: Path | None
    dicom_tls_key: Path | None
    dicom_tls_authority: Path | None
    study_quiet_seconds: int
    model_dir: Path | None
    """``None``: the newest model of ``ml/zoo``."""
    runtime: Runtime
    analysis_time_limit: int
    time_zone: str
    log_level: str


def _one_of(*choices: str) -> OneOf:
    return OneOf(choices, error="It must be one of: {choices}.")


def _scheme(*allowed: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if value.partition("://")[0] not in allowed:
            raise ValidationError(f"It must start with {' or '.join(f'{scheme}://' for scheme in allowed)}.")

    return check


def _long_enough(value: str) -> None:
    if len(value) < 50 or len(set(value)) < 5 or value.startswith("django-insecure-"):
        raise ValidationError("It must be at least 50 random characters.")


def _exact_hosts(value: list[str]) -> None:
    if not value or "*" in value:
        raise ValidationError("Name each host that the portal answers to; '*' is not accepted.")


def _exact_origins(value: list[str]) -> None:
    if not all(_ORIGIN.fullmatch(origin) for origin in value):
        raise ValidationError(
            "Name each origin as scheme, host and port, such as https://viewer.example; '*' is not accepted."
        )


def _known_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError("It must be a name from the IANA time zone database, such as Europe/Madrid.")


def _ae_title(value: str) -> None:
    # PS3.5 6.2, VR AE.
    if not 1 <= len(value) <= 16 or not value.isascii() or not value.isprintable() or "\\" in value:
        raise ValidationError("It must have 1 to 16 letters, digits or signs, and no backslash.")


_ORIGIN = re.compile(r"https?://[\w.-]+(:\d{1,5})?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?", re.ASCII)
_MAIL_TO_FILES = {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend"}


def _sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path}


def _database(url: str) -> dict[str, Any]:
    try:
        return dict(dj_database_url.parse(url))
    except ValueError:  # Its text holds the address, and so the password.
        raise BadSetting(_malformed("DATABASE_URL", "It is not a valid address.")) from None


def _read(env: FileAwareEnv) -> Environment:
    mode = cast(
        Mode,
        env.str(
            "CXR_MODE",
            "embedded",
            validate=_one_of("embedded", "production"),
        ),
    )
    production = mode == "production"
    var_dir = env.path("CXR_VAR_DIR", BASE_DIR / "var").absolute()

    def secret(name: str) -> str:
        if production:
            return env.str(name, validate=_long_enough)
        return env.str(name, None, validate=_long_enough) or read_or_create(
            var_dir / name.lower().replace("_", "-"), lambda: secrets.token_urlsafe(50)
        )

    def no_default_in_production(default: Any) -> dict[str, Any]:
        return {} if production else {"default": default}

    media_dir = env.path("CXR_MEDIA_DIR", var_dir / "media").absolute()
    incoming_dir = media_dir / "incoming"
    incoming_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
    database_url = env.str(
        "DATABASE_URL",
        validate=_scheme("postgres", "postgresql", *([] if production else ["sqlite"])),
        **no_default_in_production(None),
    )
    email_url = env.str(
        "EMAIL_URL",
        validate=_scheme("submission", "smtp", "console", "file"),
        **no_default_in_production(None),
    )
    allowed_hosts = env.list(
        "ALLOWED_HOSTS",
        subcast=str,
        validate=_exact_hosts,
        **no_default_in_production(["localhost", "127.0.0.1", "[::1]"]),
    )
    analysis_time_limit = env.int("CXR_ANALYSIS_TIME_LIMIT", 120, validate=Range(min=10, max=3600))
    session_idle_seconds = env.int("CXR_SESSION_IDLE_SECONDS", 900, validate=Range(min=60))
    return Environment(
        mode=mode,
        var_dir=var_dir,
        media_dir=media_dir,
        incoming_dir=incoming_dir,
        static_dir=env.path("CXR_STATIC_DIR", var_dir / "static").absolute(),
        secret_key=secret("SECRET_KEY"),
        audit_hmac_key=secret("AUDIT_HMAC_KEY"),
        deidentification_key=secret("DEIDENTIFICATION_KEY"),
        database=_database(database_url) if database_url else _sqlite(var_dir / "db.sqlite3"),
        redis_url=env.str(
            "REDIS_URL", validate=_scheme("redis", "rediss", "unix"), **no_default_in_production(None)
        ),
        email=dj_email_url.parse(email_url) if email_url else _MAIL_TO_FILES,
        allowed_hosts=allowed_hosts,
        public_url=env.str(
            "CXR_PUBLIC_URL",
            f"https://{allowed_hosts[0].lstrip('.')}" if production else "http://127.0.0.1:8000",
            validate=_scheme("https", *([] if production else ["http"])),
        ).rstrip("/"),
        csrf_trusted_origins=env.list("CSRF_TRUSTED_ORIGINS", [], subcast=str),
        dicomweb_origins=env.list("CXR_DICOMWEB_ORIGINS", [], subcast=str, validate=_exact_origins),
        ssl_redirect=env.bool("CXR_SSL_REDIRECT", production),
        trusted_proxy_count=env.int("CXR_TRUSTED_PROXY_COUNT", 0, validate=Range(min=0, max=5)),
        session_idle_seconds=session_idle_seconds,
        session_max_seconds=env.int(
            "CXR_SESSION_MAX_SECONDS", 12 * 3600, validate=Range(min=session_idle_seconds)
        ),
        token_hours=env.int("CXR_TOKEN_HOURS", 8, validate=Range(min=1, max=24 * 365)),
        max_upload_bytes=env.int("CXR_MAX_UPLOAD_BYTES", 64 * 1024 * 1024, validate=Range(min=1024)),
        unfinished_upload_bytes=env.int("CXR_UNFINISHED_UPLOAD_BYTES", 4 * 1024**3, validate=Range(min=1024)),
        upload_kept_hours=env.int("CXR_UPLOAD_KEPT_HOURS", 24, validate=Range(min=1, max=24 * 30)),
        max_pixels=env.int("CXR_MAX_PIXELS", 40_000_000, validate=Range(min=65_536)),
        archive_max_files=env.int("CXR_ARCHIVE_MAX_FILES", 2000, validate=Range(min=1)),
        archive_max_bytes=env.int("CXR_ARCHIVE_MAX_BYTES", 4 * 1024**3, validate=Range(min=1024)),
        decoders=env.int("CXR_DECODERS", 2, validate=Range(min=1, max=64)),
        decode_seconds=env.int("CXR_DECODE_SECONDS", 20, validate=Range(min=1, max=600)),
        decode_memory_bytes=env.int(
            "CXR_DECODE_MEMORY_BYTES", 640 * 1024**2, validate=Range(min=384 * 1024**2)
        ),
        orphan_grace_seconds=env.int("CXR_ORPHAN_GRACE_SECONDS", 24 * 3600, validate=Range(min=3600)),
        dicom_port=env.int("CXR_DICOM_PORT", None, validate=Range(min=1, max=65535)),
        dicom_host=env.str("CXR_DICOM_HOST", "0.0.0.0" if production else "127.0.0.1"),  # noqa: S104 (peers call)
        dicom_ae_title=env.str("CXR_DICOM_AE_TITLE", "CXRPORTAL", validate=_ae_title),
        dicom_max_associations=env.int("CXR_DICOM_MAX_ASSOCIATIONS", 8, validate=Range(min=1, max=100)),
        dicom_tls_certificate=env.path("CXR_DICOM_TLS_CERTIFICATE", None),
        dicom_tls_key=env.path("CXR_DICOM_TLS_KEY", None),
        dicom_tls_authority=env.path("CXR_DICOM_TLS_AUTHORITY", None),
        study_quiet_seconds=env.int("CXR_STUDY_QUIET_SECONDS", 10, validate=Range(min=0, max=3600)),
        model_dir=env.path("CXR_MODEL_DIR", None),
        runtime=cast(
            Runtime,
            env.str("CXR_RUNTIME", "onnx", validate=_one_of("onnx", "keras")),
        ),
        analysis_time_limit=analysis_time_limit,
        time_zone=env.str("TIME_ZONE", "UTC", validate=_known_time_zone),
        log_level=env.str("LOG_LEVEL", "INFO", validate=_one_of("DEBUG", "INFO", "WARNING", "ERROR")),
    )


def _malformed(name: str, reason: str) -> str:
    return f"The environment variable {name} is malformed: {reason}"


def read_environment() -> Environment:
    """The settings of this process. A missing or malformed one raises ``BadSetting``, which ends the process with its text."""
    try:
        return _read(FileAwareEnv(strip_whitespace=True))
    except EnvValidationError as error:
        name = error.args[0].split('"')[1]
        reasons = error.error_messages if isinstance(error.error_messages, list) else [error.args[0]]
        raise BadSetting(_malformed(name, " ".join(map(str, reasons)))) from None
    except EnvError as error:
        name = error.args[0].split('"')[1]
        raise BadSetting(
            f"The environment variable {name} is missing: CXR_MODE=production has no default for it."
        ) from None
    except (ValueError, OSError) as error:
        raise BadSetting(f"The settings could not be read: {error}") from None

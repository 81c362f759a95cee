"""The Django settings. What an installation may choose comes from ``cxr_portal.env``; all else is fixed here."""

from datetime import timedelta
from typing import Any

from csp.constants import NONE, SELF, WASM_UNSAFE_EVAL

from cxr_portal.env import BASE_DIR, read_environment

ENVIRONMENT = read_environment()
PRODUCTION = ENVIRONMENT.mode == "production"

CXR_MODE = ENVIRONMENT.mode
CXR_VAR_DIR = ENVIRONMENT.var_dir
CXR_PUBLIC_URL = ENVIRONMENT.public_url
CXR_MAX_UPLOAD_BYTES = ENVIRONMENT.max_upload_bytes
CXR_UNFINISHED_UPLOAD_BYTES = ENVIRONMENT.unfinished_upload_bytes
CXR_UPLOAD_KEPT_HOURS = ENVIRONMENT.upload_kept_hours
CXR_MAX_PIXELS = ENVIRONMENT.max_pixels
CXR_ARCHIVE_MAX_FILES = ENVIRONMENT.archive_max_files
CXR_ARCHIVE_MAX_BYTES = ENVIRONMENT.archive_max_bytes
CXR_DECODERS = ENVIRONMENT.decoders
CXR_DECODE_SECONDS = ENVIRONMENT.decode_seconds
CXR_DECODE_MEMORY_BYTES = ENVIRONMENT.decode_memory_bytes
CXR_ORPHAN_GRACE_SECONDS = ENVIRONMENT.orphan_grace_seconds
CXR_DICOM_PORT = ENVIRONMENT.dicom_port
CXR_DICOM_HOST = ENVIRONMENT.dicom_host
CXR_DICOM_AE_TITLE = ENVIRONMENT.dicom_ae_title
CXR_DICOM_MAX_ASSOCIATIONS = ENVIRONMENT.dicom_max_associations
CXR_DICOM_TLS_CERTIFICATE = ENVIRONMENT.dicom_tls_certificate
CXR_DICOM_TLS_KEY = ENVIRONMENT.dicom_tls_key
CXR_DICOM_TLS_AUTHORITY = ENVIRONMENT.dicom_tls_authority
CXR_STUDY_QUIET_SECONDS = ENVIRONMENT.study_quiet_seconds
CXR_MODEL_DIR = ENVIRONMENT.model_dir
CXR_RUNTIME = ENVIRONMENT.runtime
CXR_ANALYSIS_TIME_LIMIT = ENVIRONMENT.analysis_time_limit
CXR_TRUSTED_PROXY_COUNT = ENVIRONMENT.trusted_proxy_count
CXR_SESSION_MAX_SECONDS = ENVIRONMENT.session_max_seconds

SECRET_KEY = ENVIRONMENT.secret_key
AUDIT_HMAC_KEY = ENVIRONMENT.audit_hmac_key
DEIDENTIFICATION_KEY = ENVIRONMENT.deidentification_key
DEBUG = False
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts
CSRF_TRUSTED_ORIGINS = ENVIRONMENT.csrf_trusted_origins

ROOT_URLCONF = "cxr_portal.urls"
WSGI_APPLICATION = "cxr_portal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "diagnosis",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "csp",
    "corsheaders",
    "cxr_portal",
]

MIDDLEWARE = [
    "cxr_portal.middleware.ForwardedAddressMiddleware",
    "diagnosis.request_context.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cxr_portal.middleware.NoStoreMiddleware",
    "diagnosis.web.middleware.PersonLanguageMiddleware",
    "cxr_portal.middleware.SessionAgeMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "diagnosis.web.middleware.FragmentLoginMiddleware",
    "diagnosis.web.middleware.PersonErrorMiddleware",
    "diagnosis.web.middleware.SiteTimeZoneMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Records

DATABASES: dict[str, Any] = {"default": {**ENVIRONMENT.database}}
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"] |= {
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 3,
            "options": "-c statement_timeout=15000 -c lock_timeout=3000 -c idle_in_transaction_session_timeout=30000",
        },
    }
else:
    DATABASES["default"] |= {
        # Whoever closes the last connection writes the log back into the database, and syncs both: not at every request's end.
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            # A transaction that will write takes the lock at its start: one that read first could not wait for it.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
        },
    }

if ENVIRONMENT.redis_url:
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": ENVIRONMENT.redis_url,
            "KEY_PREFIX": "cxr",
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": CXR_VAR_DIR / "cache",
            # The cache counts failed logins; the default of 300 entries would throw counters away at random.
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        }
    }

# Files

MEDIA_ROOT = ENVIRONMENT.media_dir
STATIC_ROOT = ENVIRONMENT.static_dir
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    # Without a base URL: a file of a patient has no address, only views that check who asks.
    "default": {
        "BACKEND": "diagnosis.intake.storage.DurableFileSystemStorage",
        "OPTIONS": {"base_url": None},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FILE_UPLOAD_PERMISSIONS = 0o640
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o750
# On the file system of the media, so that a checked file is renamed into place and not copied.
FILE_UPLOAD_TEMP_DIR = ENVIRONMENT.incoming_dir
FILE_UPLOAD_HANDLERS = [
    "cxr_portal.uploads.CappedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "cxr_portal.uploads.TidyUploadHandler",
]

# Accounts

AUTH_USER_MODEL = "diagnosis.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 3600
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "cxr_portal.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # An administrator enters the address.
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[CXR Portal] "
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

SESSION_COOKIE_AGE = ENVIRONMENT.session_idle_seconds
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "diagnosis.web.errors.csrf_failure"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# Transport and browser

SESSION_COOKIE_NAME = "__Host-sid" if PRODUCTION else "cxr_sid"
CSRF_COOKIE_NAME = "__Host-csrf" if PRODUCTION else "cxr_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SECURE_SSL_REDIRECT = ENVIRONMENT.ssl_redirect
# Asked by the container's own health check, inside the network, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
if CXR_TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        # The decoders of the viewer are WebAssembly: of all that evaluates code this allows them alone.
        "script-src": [SELF, WASM_UNSAFE_EVAL],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "worker-src": [SELF, "blob:"],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# Viewers of other origins ask DICOMweb alone, with a token: cookies are not taken from there.
CORS_URLS_REGEX = r"^/dicom-web/"
CORS_ALLOWED_ORIGINS = ENVIRONMENT.dicomweb_origins
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_METHODS = ["GET", "OPTIONS", "POST"]
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type"]
CORS_EXPOSE_HEADERS = ["Warning"]

# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "diagnosis.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "diagnosis.api.exceptions.exception_handler",
}
REST_KNOX = {"TOKEN_TTL": timedelta(hours=ENVIRONMENT.token_hours), "TOKEN_LIMIT_PER_USER": 10}
SPECTACULAR_SETTINGS = {
    "TITLE": "CXR Portal",
    "DESCRIPTION": "Chest X-rays, a second opinion on each, and what the radiologist decided.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "CriticalStateEnum": "diagnosis.models.CriticalState",
        "DecisionEnum": "diagnosis.models.Decision",
        "DiscrepancyDecisionEnum": "diagnosis.models.DiscrepancyDecision",
        "DiscrepancyStateEnum": "diagnosis.models.DiscrepancyState",
        "DiscrepancyVerdictEnum": "diagnosis.models.DiscrepancyVerdict",
        "SecondReadStateEnum": "diagnosis.models.SecondReadState",
        "SettledByEnum": "diagnosis.services.discrepancies.DECISION_CHOICES",
        "FileStatusEnum": "diagnosis.api.serializers.uploads.FILE_STATUSES",
        "PcrResultEnum": "diagnosis.models.PcrResult",
        "PredictionStatusEnum": "diagnosis.models.PredictionStatus",
        "ReviewKindEnum": "diagnosis.models.ReviewKind",
        "StudyStatusEnum": "diagnosis.models.StudyStatus",
    },
}

# Jobs. One number, the time that one analysis may take, gives the others: soft limit < hard limit < redelivery.

CELERY_VISIBILITY_TIMEOUT = int(2.5 * CXR_ANALYSIS_TIME_LIMIT)
CELERY: dict[str, Any] = {
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "task_ignore_result": True,
    "task_acks_late": True,
    # Bounded by the task's max_retries; rejecting on a lost worker would requeue a file that kills it for ever.
    "task_retry_on_worker_lost": True,
    "task_time_limit": CXR_ANALYSIS_TIME_LIMIT,
    "task_soft_time_limit": int(CXR_ANALYSIS_TIME_LIMIT * 5 / 6),
    "visibility_timeout": CELERY_VISIBILITY_TIMEOUT,
    "result_backend_transport_options": {"visibility_timeout": CELERY_VISIBILITY_TIMEOUT},
    "worker_prefetch_multiplier": 1,
    "worker_max_tasks_per_child": 200,
    # A child that loads the network is slow to say that it is there.
    "worker_proc_alive_timeout": 60,
    "worker_soft_shutdown_timeout": 30,
    "worker_enable_soft_shutdown_on_idle": True,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "timezone": "UTC",
    "beat_schedule_filename": str(CXR_VAR_DIR / "beat-schedule"),
    "beat_schedule": {
        "relay-outbox": {
            "task": "diagnosis.tasks.relay_outbox",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "analyse-quiet-studies": {
            "task": "diagnosis.tasks.analyse_quiet_studies",
            "schedule": 2.0,
            "options": {"expires": 2},
        },
        "requeue-stale-retrievals": {
            "task": "diagnosis.tasks.requeue_stale_retrievals",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "requeue-stale-predictions": {
            "task": "diagnosis.tasks.requeue_stale_predictions",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "escalate-critical-results": {
            "task": "diagnosis.tasks.escalate_critical_results",
            "schedule": 20.0,
            "options": {"expires": 20},
        },
        "tidy-second-reads": {
            "task": "diagnosis.tasks.tidy_second_reads",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "sweep-uploads": {
            "task": "diagnosis.tasks.sweep_uploads",
            "schedule": 300.0,
            "options": {"expires": 300},
        },
        "sweep-orphans": {
            "task": "diagnosis.tasks.sweep_orphans",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
    },
}
if ENVIRONMENT.redis_url:
    CELERY |= {
        "broker_url": ENVIRONMENT.redis_url,
        "broker_transport_options": {
            "visibility_timeout": CELERY_VISIBILITY_TIMEOUT,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "health_check_interval": 25,
        },
    }
else:
    BROKER_DIR = CXR_VAR_DIR / "broker"
    CELERY |= {
        "broker_url": "folder://localhost//",
        "broker_transport_options": {
            "data_folder_in": str(BROKER_DIR / "messages"),
            "data_folder_out": str(BROKER_DIR / "messages"),
            "control_folder": str(BROKER_DIR / "control"),
            "polling_interval": 0.05,
        },
    }

# Language, time, mail, log

LANGUAGE_CODE = "en"
# Each in its own words, for who cannot read the others. docs/languages.md says how one is added.
LANGUAGES = [("en", "English"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = PRODUCTION
USE_I18N = True
USE_TZ = True
TIME_ZONE = ENVIRONMENT.time_zone

EMAIL_FILE_PATH = CXR_VAR_DIR / "mail"
EMAIL_BACKEND = ENVIRONMENT.email["EMAIL_BACKEND"]
EMAIL_HOST = ENVIRONMENT.email.get("EMAIL_HOST")
EMAIL_PORT = ENVIRONMENT.email.get("EMAIL_PORT")
EMAIL_HOST_USER = ENVIRONMENT.email.get("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = ENVIRONMENT.email.get("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = ENVIRONMENT.email.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = ENVIRONMENT.email.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "cxr_portal.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": ENVIRONMENT.log_level},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "openjpeg": {"level": "WARNING"},
        # At INFO it tells of each protocol step; of what moves, the portal's own lines and the audit trail tell.
        "pynetdicom": {"level": "WARNING"},
        # It tells at each upload what the sender's file is called.
        "resumable_upload": {"level": "ERROR"},
        # Their messages hold the parameters of the query.
        "django.db.backends": {"level": "ERROR"},
    },
}

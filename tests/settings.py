"""The portal's own settings in a folder of their own, with nothing that outlives the test run."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_var_dir = tempfile.mkdtemp(prefix="cxr-tests-")
atexit.register(shutil.rmtree, _var_dir, ignore_errors=True)
os.environ |= {"CXR_MODE": "embedded", "CXR_VAR_DIR": _var_dir}

(Path(_var_dir) / "static").mkdir()

from cxr_portal.settings import *  # noqa: E402, F403
from cxr_portal.settings import CELERY, STORAGES  # noqa: E402

# The default is made to be slow; thousands of logins of made-up people need not be.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Names with a hash exist only after collectstatic; the tests of the deployment run that.
STORAGES |= {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
CELERY |= {"broker_url": "memory://", "broker_transport_options": {}}

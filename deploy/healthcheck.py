"""Exit code 0 when the web process of this container says that all is up."""

import os
import sys
import urllib.request

host = os.environ["ALLOWED_HOSTS"].split(",")[0].strip()
request = urllib.request.Request(
    f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/healthz",
    headers={"Host": host, "X-Forwarded-Proto": "https"},
)
try:
    urllib.request.urlopen(request, timeout=8)  # noqa: S310 (an address of our own)
except OSError as error:
    sys.exit(str(error))

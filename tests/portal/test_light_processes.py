"""Neither the web process nor a worker loads TensorFlow: 600 MB, 2.5 s, and not safe to fork after."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.portal import clean_environment

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "assert not {'tensorflow', 'keras', 'torch', 'pandas', 'sklearn'} & set(sys.modules), sorted(sys.modules)"
)
WEB = f"""
import sys
import cxr_portal.wsgi
from django.urls import get_resolver
get_resolver().url_patterns
import diagnosis.web.urls, diagnosis.api.urls
{HEAVY}
assert "onnxruntime" not in sys.modules
"""
WORKER = f"""
import sys
import django
django.setup()
import cxr_portal.celery, diagnosis.tasks
from diagnosis import inference
from ml.phantom import phantom_png
output = inference.analyse(inference.read(phantom_png(1, rows=128, columns=128)))
assert set(output.probabilities) == {{"covid19", "viral_pneumonia", "normal"}}
{HEAVY}
"""


@pytest.mark.parametrize("process", [WEB, WORKER], ids=["web", "worker"])
def test_a_process_of_the_portal_loads_no_tensorflow(process, tmp_path):
    environment = clean_environment(CXR_VAR_DIR=str(tmp_path), DJANGO_SETTINGS_MODULE="cxr_portal.settings")
    result = subprocess.run(
        [sys.executable, "-c", process],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]

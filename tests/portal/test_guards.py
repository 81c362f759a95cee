"""The linters' guards: each counts only if a planted violation makes it fail."""

import subprocess
import sys

import pytest

from cxr_portal.env import BASE_DIR


def _ruff(source: str, path: str) -> str:
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--no-cache",
            "--output-format",
            "concise",
            "--stdin-filename",
            path,
            "-",
        ],
        input=source,
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout


@pytest.mark.parametrize(
    ("source", "path", "rule"),
    [
        ("import tensorflow\n\ntensorflow.constant(1)\n", "diagnosis/services/planted.py", "TID251"),
        ("from keras import Model\n\nModel()\n", "cxr_portal/planted.py", "TID251"),
        ("from ml.serving import load_model\n\nload_model()\n", "diagnosis/tasks.py", "TID251"),
        ("import pickle\n\npickle.loads(b'')\n", "diagnosis/intake/planted.py", "S301"),
        ("import datetime\n\ndatetime.datetime.now()\n", "diagnosis/services/planted.py", "DTZ005"),
        ("try:\n    x = 1\nexcept Exception:\n    x = 2\n", "diagnosis/services/planted.py", "BLE001"),
        ("print('patient')\n", "diagnosis/services/planted.py", "T201"),
        (
            "from django.utils.safestring import mark_safe\n\nmark_safe('')\n",
            "diagnosis/web/planted.py",
            "TID251",
        ),
    ],
)
def test_a_planted_violation_is_found(source, path, rule):
    assert f" {rule} " in _ruff(source, path)


def test_the_network_package_may_import_its_framework():
    assert "TID251" not in _ruff("import keras\n\nkeras.Model()\n", "ml/training/planted.py")

"""The pages' script runs once."""

import re

from django.conf import settings


def test_no_part_of_the_script_asks_for_the_entry_by_its_plain_name():
    """Pages name the entry with a hash: under its plain name it would run a second time, and answer every click twice."""
    built = settings.BASE_DIR / "static" / "build"
    parts = list(built.glob("chunks/*.js"))
    assert parts
    assert [
        part.name for part in parts if re.search(r"""["'](\.\./|/static/build/)main\.js""", part.read_text())
    ] == []
    assert re.fullmatch(r'(import"\./chunks/[\w.-]+\.js";)+\s*', (built / "main.js").read_text())

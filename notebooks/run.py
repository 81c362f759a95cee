"""Run the notebook from its first cell to its last: `python -m notebooks.run` writes its outputs anew.

    make notebook            # the outputs of all images; takes long
    python -m notebooks.run --share small --out DIR/try.ipynb

The outputs name the run that they are of (`metadata.run`): its share of the data, the model, and a hash of the code. A test
compares these, so that the outputs cannot grow old beside changed code or another model unnoticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from ml.serving import default_model_folder

FOLDER = Path(__file__).resolve().parent
NOTEBOOK = FOLDER / "how-the-second-opinion-works.ipynb"
SHARES = ("small", "full")
# What a progress bar or a terminal leaves behind, and the beginning of a path of the machine that it ran on.
LITTER = re.compile(r"\d+%\|| it/s|\x1b\[|\r")
ABSOLUTE = re.compile(r"(?<![\w.:/)])/(?:home|root|tmp|usr|var|work|opt|mnt|Users)/\w|[A-Z]:\\\w")


class UntidyOutputError(RuntimeError):
    """An output holds what must not be kept: the path of a machine, or what is left of a progress bar."""


def read() -> Any:
    """The notebook as it lies in the repository."""
    return nbformat.read(NOTEBOOK, as_version=4)


def digest(notebook: Any) -> str:
    """sha256 of the sources of the cells with code, in order: what the outputs depend on."""
    cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def execute(notebook: Any, *, share: str, show_images: bool = False) -> Any:
    """A copy of `notebook`, run in a kernel of its own, with what the cells gave.

    `share`: of the data, `small` or `full`. `show_images`: whether images of the data sets are shown; what is so made
    must not be published. Raises nbclient.exceptions.CellExecutionError at the first cell that fails.
    """
    result = nbformat.from_dict(notebook)
    client = NotebookClient(
        result,
        kernel_name="python3",
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    chosen = {"NOTEBOOK_SHARE": share, "NOTEBOOK_SHOW_IMAGES": "yes" if show_images else "no"}
    if os.environ.get("CXR_DATA"):
        # The kernel starts in the notebook's folder, and the path was meant from here.
        chosen["CXR_DATA"] = str(Path(os.environ["CXR_DATA"]).resolve())
    client.execute(env={**os.environ, **chosen})
    _tidy(result)
    result["metadata"]["run"] = {
        "share": share,
        "show_images": show_images,
        "model": default_model_folder().name,
        "sources_sha256": digest(result),
    }
    return result


def _tidy(notebook: Any) -> None:
    """Leave out what was written to standard error: progress bars, and libraries about the machine."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]


def untidy(notebook: Any) -> list[str]:
    """Absolute paths and litter in the outputs' texts."""
    texts = [
        text if isinstance(text, str) else json.dumps(text)
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        for kind, text in [("text/plain", output.get("text", "")), *output.get("data", {}).items()]
        if kind.startswith("text/")
    ]
    return [found[0] for text in texts for form in (LITTER, ABSOLUTE) for found in form.finditer(text)]


def main() -> None:
    """Run and write; the file is replaced only by a run that reached its end."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.run", description="Run the notebook.")
    parser.add_argument("--share", choices=SHARES, default="full", help="of the data; default: full")
    parser.add_argument(
        "--out", type=Path, default=NOTEBOOK, metavar="FILE", help="default: the notebook itself"
    )
    options = parser.parse_args()
    result = execute(read(), share=options.share)
    if untidy(result):
        raise UntidyOutputError(f"The outputs hold {', '.join(sorted(set(untidy(result))))}.")
    temporary = options.out.with_name(f"tmp-{options.out.name}")
    nbformat.write(result, temporary)
    temporary.replace(options.out)


if __name__ == "__main__":
    main()

"""`python -m ml predict`: one line for each file, whatever the files."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.commands.common import (
    ANSWERED,
    FAULT,
    UnusableError,
    files_in,
    identity,
    load,
    load_default_gate,
    stop,
)

if TYPE_CHECKING:
    import numpy as np

    from ml.commands.common import Commands
    from ml.serving import Gate, ServedModel

log = logging.getLogger("ml")

HEAT_MAP_SIZE = (224, 224)
NEUTRAL_REASON = "This file could not be analysed because of an internal error. The log has the details."


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    predict = commands.add_parser(
        "predict",
        help="ask a model about files",
        epilog="Exit code: 0 every file was answered (ok or refused), 1 at least one met an error, "
        "2 nothing could be tried.",
    )
    predict.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a file, or a folder: then its files, not hidden ones",
    )
    predict.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    predict.add_argument(
        "--heatmap-dir",
        type=Path,
        metavar="DIR",
        help="write each heat map as <stem>.npy: float32 224 x 224, 0..1, over the image stretched square",
    )
    predict.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="default: $CXR_MODEL_DIR, else the one that ml/zoo/default.json names",
    )
    predict.add_argument("--runtime", choices=["onnx", "keras"], default="onnx")
    predict.add_argument(
        "--no-gate",
        action="store_true",
        help="for study: ask the model also about what is no upright frontal chest X-ray, or unlike all it knows",
    )
    predict.set_defaults(command=_predict)


def _predict(options: argparse.Namespace) -> int:
    try:
        model = load(options.model, options.runtime)
        gate = None if options.no_gate else load_default_gate()
    except UnusableError as error:
        return stop(error)
    files = list(files_in(options.paths))
    if not files:
        return stop("There is no file in what was given.")
    if options.heatmap_dir:
        options.heatmap_dir.mkdir(parents=True, exist_ok=True)
    names = UniqueNames()
    fault = False
    for file in files:
        answer, heat = predict_file(model, file, gate)
        if heat is not None and options.heatmap_dir:
            try:
                answer["heatmap"] = str(_write_heat_map(heat, options.heatmap_dir, names.take(file.stem)))
            except OSError:
                log.exception("The heat map of %s could not be written", file)
                answer = {**_answer(model, file, "error"), "reason": "The heat map could not be written."}
        fault = fault or answer["status"] == "error"
        print(json.dumps(answer) if options.json else row(answer), flush=True)
    return FAULT if fault else ANSWERED


def _answer(model: ServedModel, file: Path, status: str) -> dict[str, Any]:
    return {
        "file": str(file),
        "status": status,
        "reason": None,
        "label": None,
        "probabilities": None,
        "possible_labels": None,
        "model": identity(model),
    }


def predict_file(
    model: ServedModel, file: Path, gate: Gate | None = None
) -> tuple[dict[str, Any], np.ndarray | None]:
    """One file's line, and its heat map (float32 224 x 224) when it was analysed. Raises nothing for a bad
    file. With a `gate`, what it does not let through, and what is unlike all that the model knows, is refused.

    Keys: `file`, `status` (`ok` | `refused` | `error`), `reason`, `label` (a class code), `probabilities`
    (class code to 0..1), `possible_labels` (codes; more than one: the model is unsure), `model`. The codes are
    those of the model's card, which also has their names for display.
    """
    from ml.imaging import ImageRefused, load_image

    answer = _answer(model, file, "ok")
    try:
        pixels = load_image(file).pixels
        if gate is not None:
            gate.check(pixels)
        output = model.predict(pixels)
        if gate is not None:
            model.check_familiar(output)
        heat = model.shown_map(output.maps, output.label, HEAT_MAP_SIZE)
    except ImageRefused as refusal:
        return {**answer, "status": "refused", "reason": str(refusal)}, None
    except FileNotFoundError:
        return {**answer, "status": "error", "reason": "There is no file with this name."}, None
    except PermissionError:
        return {**answer, "status": "error", "reason": "This file may not be read by this account."}, None
    except Exception:
        log.exception("%s could not be analysed", file)
        return {**answer, "status": "error", "reason": NEUTRAL_REASON}, None
    answer |= {
        "label": output.label,
        "probabilities": output.probabilities,
        "possible_labels": output.possible_labels,
    }
    return answer, heat


class UniqueNames:
    """File names for stems that may repeat: `a`, then `a-2`, `a-3`; also apart where the file system folds
    case.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def take(self, stem: str) -> str:
        """A name that this object has not given before."""
        name, number = stem, 1
        while name.casefold() in self.taken:
            number += 1
            name = f"{stem}-{number}"
        self.taken.add(name.casefold())
        return name


def _write_heat_map(heat: np.ndarray, folder: Path, name: str) -> Path:
    import numpy as np

    path = folder / f"{name}.npy"
    np.save(path, heat)
    return path


def row(answer: dict[str, Any]) -> str:
    """An answer as a line for a person."""
    if answer["status"] != "ok":
        return f"{answer['file']}  {answer['status']}: {answer['reason']}"
    scores = ", ".join(f"{code} {value:.3f}" for code, value in answer["probabilities"].items())
    unsure = f", unsure: {' or '.join(possible)}" if len(possible := answer["possible_labels"]) > 1 else ""
    return f"{answer['file']}  {answer['label']} ({scores}{unsure})"

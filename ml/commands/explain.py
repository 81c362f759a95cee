"""`python -m ml explain`: a map of where the network looked, by any of several methods, for study."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.commands.common import ANSWERED, FAULT, UnusableError, files_in, load, load_default_gate, stop
from ml.commands.predict import UniqueNames, predict_file, row

if TYPE_CHECKING:
    import numpy as np

    from ml.commands.common import Commands
    from ml.explanation.methods import Explained
    from ml.serving import ServedModel

log = logging.getLogger("ml")

SERVED = "served"
# Those of `ml.explanation.methods.METHODS`, which a command line without TensorFlow must name too.
METHODS = ("cam", "grad-cam", "grad-cam++", "integrated-gradients", "occlusion")


def add_parser(commands: Commands) -> None:
    """Add the command to the parser of `python -m ml`."""
    explain = commands.add_parser(
        "explain",
        help="show where a model looked",
        epilog="Exit code: 0 every file was answered (ok or refused), 1 at least one met an error, "
        "2 nothing could be tried.",
    )
    explain.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE", help="a file, or a folder: then its files"
    )
    explain.add_argument(
        "--model", type=Path, metavar="FOLDER", help="default: $CXR_MODEL_DIR, else the model that is served"
    )
    explain.add_argument(
        "--method",
        choices=(SERVED, *METHODS),
        default=SERVED,
        help="served, the default, is the map that the portal shows",
    )
    explain.add_argument("--label", metavar="CODE", help="the class to explain; default: the one found")
    explain.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="for each file <stem>.npy (float32 224 x 224, 0..1, over the image stretched square) and <stem>.png",
    )
    explain.add_argument(
        "--no-gate",
        action="store_true",
        help="also explain what is no upright frontal chest X-ray, or unlike all that the model knows",
    )
    explain.add_argument("--json", action="store_true", help="one JSON object a line for each file")
    explain.set_defaults(command=_explain)


def _explain(options: argparse.Namespace) -> int:
    try:
        model = load(options.model, "onnx")
        gate = None if options.no_gate else load_default_gate()
    except UnusableError as error:
        return stop(error)
    if options.label is not None and options.label not in model.labels:
        return stop(f"This model has no class {options.label}; it has {', '.join(model.labels)}.")
    files = list(files_in(options.paths))
    if not files:
        return stop("There is no file in what was given.")
    explained = None
    if options.method != SERVED:
        from ml.explanation.methods import Explained
        from ml.serving import default_model_folder

        explained = Explained.open(options.model or default_model_folder())
    options.out.mkdir(parents=True, exist_ok=True)
    names = UniqueNames()
    fault = False
    for file in files:
        answer, _ = predict_file(model, file, gate)
        if answer["status"] == "ok":
            label = options.label or answer["label"]
            place = options.out / names.take(file.stem)
            answer |= {"method": options.method, "explained": label}
            answer |= _write(model, explained, file, options.method, label, place)
        fault = fault or answer["status"] == "error"
        print(json.dumps(answer) if options.json else _row(answer), flush=True)
    return FAULT if fault else ANSWERED


def _write(
    model: ServedModel, explained: Explained | None, file: Path, method: str, label: str, place: Path
) -> dict[str, Any]:
    """Explain a file that the model has answered; what this adds to the answer's line."""
    import numpy as np

    from ml.imaging import load_image

    pixels = load_image(file).pixels
    if explained is None:
        heat = model.shown_map(model.predict(pixels).maps, label)
    else:
        from ml.explanation.maps import explain

        heat = explain(explained, model.preprocessing(pixels), model.labels.index(label), method)[0]
    table, picture = place.with_name(f"{place.name}.npy"), place.with_name(f"{place.name}.png")
    try:
        np.save(table, heat)
        _overlay(pixels, heat, picture)
    except OSError:
        log.exception("The map of %s could not be written", file)
        return {"status": "error", "reason": "The map could not be written."}
    return {"heatmap": str(table), "overlay": str(picture)}


def _overlay(pixels: np.ndarray, heat: np.ndarray, path: Path) -> None:
    """The image stretched to the map's square with the map over it: the stronger, the less it lets through."""
    import numpy as np
    from matplotlib import colormaps
    from PIL import Image

    from ml.preprocessing import Preprocessing

    grey = Preprocessing(size=len(heat)).square(pixels)[..., np.newaxis]
    cover = 0.6 * heat[..., np.newaxis]
    painted = (1 - cover) * grey + cover * colormaps["viridis"](heat)[..., :3]
    Image.fromarray(np.rint(painted * 255).astype(np.uint8)).save(path)


def _row(answer: dict[str, Any]) -> str:
    if answer["status"] != "ok":
        return row(answer)
    return f"{row(answer)}  {answer['method']} of {answer['explained']}: {answer['overlay']}"

"""Each goal of the network beside its reference and the figure that is reached: ``python -m benchmarks.model``.

What takes minutes is measured anew from the served model folder, by the command that is printed with it. What takes a
training (sources left out, the folds of DarkCovidNet) is read from ``docs/figures``, where the files hold what these
commands print; ``--train`` runs them anew and replaces the files. A figure below its goal is said to be below and is
no error: this is a report. The exit code is 1 only where something could not be measured at all.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
FIGURES = REPOSITORY / "docs" / "figures"
MODEL, DATA, WORK = "MODEL", "DATA", "WORK"
DARKCOVIDNET = ("cross-validate", "--source", "darkcovidnet", "--json", "--data", DATA)

#: Measured anew each time, in minutes. The words in capitals are filled in.
MEASURED: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", MODEL, "--data", DATA, "--json"),
    "maps": ("explain-score", MODEL, "--data", DATA, "--methods", "cam", "--json"),
    "gate": ("gate", "evaluate", "--data", DATA, "--json"),
}
#: Measured by a training; in the order in which they must run.
TRAINED: dict[str, tuple[str, ...]] = {
    **{
        f"hold-out-{source}": (
            *("hold-out", "--config", "ml/training/configs/hold-out.json", *asked),
            *("--work", f"{WORK}/hold-out-{source}", "--data", DATA),
        )
        for source, asked in {
            "darkcovidnet": ("--leave-out", "darkcovidnet"),
            "covid_chestxray": ("--leave-out", "covid_chestxray"),
            # Most COVID-19 images of the others are also here: without them there would be little to learn from.
            "radiography_database": ("--leave-out", "radiography_database", "--keep-training"),
            # It has no COVID-19 of its own; that of another source left out stands against its normals.
            "chest_xray": ("--leave-out", "chest_xray", "--leave-out", "covid_chestxray"),
        }.items()
    },
    "darkcovidnet-from-scratch": (
        *DARKCOVIDNET,
        *(
            "--config",
            "ml/training/configs/darkcovidnet3.json",
            "--work",
            f"{WORK}/darkcovidnet-from-scratch",
        ),
    ),
    "darkcovidnet-pretrained": (
        *DARKCOVIDNET,
        *("--config", "ml/training/configs/darkcovidnet3-pretrained.json"),
        *("--start-from", f"{WORK}/hold-out-darkcovidnet", "--work", f"{WORK}/darkcovidnet-pretrained"),
    ),
}
SERVING = "serving"
POSITIVE, NEGATIVE = "covid19", "normal"


@dataclass(frozen=True)
class Line:
    """One goal. `value` is None where nothing was measured; `met` is None where the goal cannot be judged."""

    figure: str
    goal: str
    reference: str
    value: float | None
    interval_95: list[float] | None
    unit: str
    met: bool | None
    note: str
    command: str


def main() -> int:
    """Measure, print, and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.model", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, default=default_data(), metavar="DIR", help="default: $CXR_DATA")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="default: the one that is served")
    parser.add_argument("--train", action="store_true", help="run the trainings anew too, which takes hours")
    parser.add_argument(
        "--work", type=Path, default=Path("var/bench-model"), metavar="DIR", help="of the trainings"
    )
    parser.add_argument("--json", action="store_true", help="all lines as one JSON object")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the folder of the published data sets by --data or in CXR_DATA")
    folder = options.model or served_folder()
    words = {MODEL: str(folder), DATA: str(options.data), WORK: str(options.work)}
    found, failed = measured(words)
    if options.train:
        failed += train(words)
    found |= stored()
    lines = lines_of(found)
    if options.json:
        print(
            json.dumps(
                {"model": folder.name, "goals": [asdict(line) for line in lines], "failed": failed}, indent=2
            )
        )
    else:
        print(f"MODEL is {folder}, DATA is {options.data}, WORK is {options.work}.\n")
        print(table(lines, folder.name))
        for command in failed:
            print(f"Could not be measured: {command}", file=sys.stderr)
    return 1 if failed else 0


def default_data() -> Path | None:
    """The folder of CXR_DATA, else `../shared/data` where that exists."""
    named = os.environ.get("CXR_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


def served_folder() -> Path:
    """The folder of the served classifier, relative to the repository where it lies in it."""
    from ml.serving import default_model_folder

    folder = default_model_folder().resolve()
    return folder.relative_to(REPOSITORY) if folder.is_relative_to(REPOSITORY) else folder


def run(command: tuple[str, ...], words: dict[str, str]) -> dict[str, Any]:
    """What a command of `python -m ml` prints as JSON. Raises subprocess.CalledProcessError."""
    filled = [_filled(word, words) for word in command]
    output = subprocess.run(
        [sys.executable, "-m", "ml", *filled], check=True, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ).stdout
    return dict(json.loads(output))


def measured(words: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The figures that take minutes, by name, and the commands that failed."""
    found: dict[str, Any] = {}
    failed = []
    for name, command in MEASURED.items():
        try:
            found[name] = run(command, words)
        except subprocess.CalledProcessError:
            failed.append(shown(command))
    from benchmarks.serving import compare

    try:
        found[SERVING] = compare(Path(words[MODEL]))
    except subprocess.CalledProcessError:
        failed.append("python -m benchmarks.serving")
    return found, failed


def train(words: dict[str, str]) -> list[str]:
    """Run the trainings, each from where it stopped, and store what they print. Returns those that failed."""
    failed = []
    for name, command in TRAINED.items():
        try:
            figures = run(command, words)
        except subprocess.CalledProcessError:
            failed.append(shown(command))
            continue
        FIGURES.mkdir(parents=True, exist_ok=True)
        temporary = FIGURES / f"tmp-{name}.json"
        temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        temporary.replace(FIGURES / f"{name}.json")
    return failed


def stored() -> dict[str, Any]:
    """The figures of the trainings that are in `docs/figures`, by name."""
    files = {name: FIGURES / f"{name}.json" for name in TRAINED}
    return {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.is_file()
    }


def lines_of(found: dict[str, Any]) -> list[Line]:
    """The goals in the order of the report, from what the commands printed, by name; what is missing has no value."""
    return [
        *_test_lines(found.get("evaluate")),
        _folds_line(found, "darkcovidnet-pretrained", "pre-trained on other data", 0.92),
        _folds_line(found, "darkcovidnet-from-scratch", "from scratch", 0.88),
        *(line for name in TRAINED if name.startswith("hold-out-") for line in _hold_out_lines(found, name)),
        _pointing_line(found.get("maps")),
        *_gate_lines(found.get("gate")),
        *_serving_lines(found.get(SERVING)),
    ]


def table(lines: list[Line], model: str) -> str:
    """The report for a person."""
    reached = sum(line.met is True for line in lines)
    below = sum(line.met is False for line in lines)
    parts = [
        f"{model}: {reached} goals reached, {below} below, {len(lines) - reached - below} not judged",
        "",
    ]
    for line in lines:
        verdict = {True: "PASS", False: "below", None: "not judged"}[line.met]
        parts += [
            f"{verdict:<10}  {line.figure}: {_value(line)}",
            f"{'':<10}  goal {line.goal}; reference: {line.reference}",
            *([f"{'':<10}  {line.note}"] if line.note else []),
            f"{'':<10}  {line.command}",
            "",
        ]
    return "\n".join(parts).rstrip()


def shown(command: tuple[str, ...]) -> str:
    """The command as a person would type it."""
    return shlex.join(["python", "-m", "ml", *command])


def _filled(word: str, words: dict[str, str]) -> str:
    head, slash, rest = word.partition("/")
    return words.get(head, head) + slash + rest


def _value(line: Line) -> str:
    if line.value is None:
        return "not measured"

    def number(value: float) -> str:
        return f"{value:.1%}" if line.unit == "%" else f"{value:.3g} {line.unit}".rstrip()

    interval = (
        f" ({number(line.interval_95[0])} to {number(line.interval_95[1])})" if line.interval_95 else ""
    )
    return number(line.value) + interval


def _line(
    figure: str,
    goal: float,
    reference: str,
    entry: dict[str, Any] | None,
    command: str,
    *,
    unit: str = "",
    at_most: bool = False,
    note: str = "",
) -> Line:
    """A line for a goal of at least, or `at_most`, `goal`; `entry` has a `value` and perhaps an `interval_95`."""
    value = entry.get("value") if entry else None
    met = None if value is None else value <= goal if at_most else value >= goal
    bound = "at most" if at_most else "at least"
    text = f"{goal:.0%}" if unit == "%" else f"{goal:g} {unit}".rstrip()
    interval = entry.get("interval_95") if entry else None
    return Line(figure, f"{bound} {text}", reference, value, interval, unit, met, note, command)


def _test_lines(found: dict[str, Any] | None) -> list[Line]:
    command = shown(MEASURED["evaluate"])
    test = found["metrics"]["test"] if found else None
    covid = test["classes"][POSITIVE] if test else None
    chosen = ""
    for point in found["operating_points"] if found else []:
        if (point["label"], point["aim"]) == (POSITIVE, "specificity"):
            at = point["test"]
            chosen = (
                "Read off the test's own curve, as published. At the threshold chosen on validation: sensitivity "
                f"{at['sensitivity']['value']:.1%}, specificity {at['specificity']['value']:.1%}."
            )
    error = found["calibration"]["test"] if found else None
    return [
        _line(
            f"accuracy on the leakage-free test, {len(test['classes']) if test else 3} classes",
            0.97,
            "97 % claimed on a leaky split by comparable projects",
            test and test["accuracy"],
            command,
            unit="%",
        ),
        _line(
            "COVID-19 sensitivity at 98 % specificity, same test",
            0.97,
            "COVID-Net: 91 %",
            covid and covid["read_off_at_98_specificity"]["sensitivity"],
            command,
            unit="%",
            note=chosen,
        ),
        _line(
            "expected calibration error, same test",
            0.02,
            "uncalibrated softmax: typically 0.05 to 0.15",
            error and {"value": error["after"]["expected_calibration_error"]},
            command,
            at_most=True,
            note=f"Before temperature scaling: {error['before']['expected_calibration_error']}."
            if error
            else "",
        ),
    ]


def _folds_line(found: dict[str, Any], name: str, how: str, goal: float) -> Line:
    figures = found.get(name)
    note, entry = "", None
    if figures:
        published, grouped = figures["published"], figures.get("grouped")
        entry = {
            "value": published["mean_accuracy"],
            "interval_95": published["pooled"]["accuracy"]["interval_95"],
        }
        parted = published["seen_in_training"]["images_with_a_group_in_another_fold"]
        note = f"Mean of the folds; {parted} images have a twin or their patient in another fold."
        if grouped:
            note += f" With whole groups on one side: {grouped['mean_accuracy']:.1%}."
    return _line(
        f"DarkCovidNet's images, its own 5 folds, 3 classes, {how}",
        goal,
        "87.02 % published (Ozturk 2020)",
        entry,
        shown(TRAINED[name]),
        unit="%",
        note=note,
    )


def _hold_out_lines(found: dict[str, Any], name: str) -> list[Line]:
    figures = found.get(name)
    reference, command = "0.70 to 0.76 for published models tested so (DeGrave 2021)", shown(TRAINED[name])
    source = name.removeprefix("hold-out-")
    pairs = {
        pair: entry
        for pair, entry in (figures["auroc"]["left_out"] if figures else {}).items()
        if pair.startswith(f"{POSITIVE}/") and f" against {NEGATIVE}/" in pair
    }
    if not pairs:
        note = "No pair of strata with ten images each was left out." if figures else ""
        figure = f"area under ROC, COVID-19 against normal, {source} left out"
        return [_line(figure, 0.9, reference, None, command, note=note)]
    kept = ", without those that have a near-twin or their patient in training"
    kept = kept if figures and figures.get("protocol", {}).get("keep_training") else ""
    return [
        _line(
            f"area under ROC, {pair}, left out of training",
            0.9,
            reference,
            entry,
            command,
            note=f"{entry['images'][0]} and {entry['images'][1]} images{kept}.",
        )
        for pair, entry in pairs.items()
    ]


def _pointing_line(found: dict[str, Any] | None) -> Line:
    figures = found["explanation"] if found else None
    entry = figures["maps"][figures["served"]]["all"]["pointing"] if figures else None
    controls = (
        {name: part["all"]["pointing"]["value"] for name, part in figures["controls"].items()}
        if figures
        else {}
    )
    asked = {name: controls[name] for name in ("centre of the image", "random weights") if name in controls}
    note = "; ".join(f"control, {name}: {value:.1%}" for name, value in controls.items())
    line = _line(
        "pointing game in radiologists' outlines of lesions, the served map",
        0.75,
        "controls: the centre of the image, random weights",
        entry,
        shown(MEASURED["maps"]),
        unit="%",
        note=f"{note}." if note else "",
    )
    above = line.value is not None and all(line.value > value for value in asked.values())
    return Line(
        **{**asdict(line), "goal": f"{line.goal}, and above both controls", "met": line.met and above}
    )


def _gate_lines(found: dict[str, Any] | None) -> list[Line]:
    command, reference = shown(MEASURED["gate"]), "none of the peers measures it"
    refused = found["other_than_frontal"]["refused"] if found else None
    frontal = found["frontal"]["all"]["refused"] if found else None
    return [
        _line(
            "inputs that are no upright frontal chest X-ray, refused",
            0.99,
            reference,
            refused,
            command,
            unit="%",
        ),
        _line(
            "real frontal chest X-rays refused wrongly",
            0.02,
            reference,
            frontal,
            command,
            unit="%",
            at_most=True,
        ),
    ]


def _serving_lines(found: dict[str, Any] | None) -> list[Line]:
    command = "python -m benchmarks.serving"
    ours, keras = (found or {}).get("onnx"), (found or {}).get("keras")
    wanted = (
        ("predictions with map a second, 2 threads", "images_per_s", 200.0, "images/s", False),
        ("peak memory of a process that predicts", "peak_mb", 200.0, "MB", True),
        ("ready to predict after", "ready_s", 1.0, "s", True),
    )
    return [
        _line(
            figure,
            goal,
            f"keras.Model.predict in the same run: {keras[key]:.3g} {unit}"
            if keras
            else "keras.Model.predict",
            ours and {"value": round(ours[key], 3)},
            command,
            unit=unit,
            at_most=at_most,
        )
        for figure, key, goal, unit, at_most in wanted
    ]


if __name__ == "__main__":
    sys.exit(main())

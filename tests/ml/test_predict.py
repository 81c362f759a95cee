"""`python -m ml predict`: one line a file, whatever the files."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ml.imaging
from ml.cli import main
from ml.phantom import draw_chest
from ml.serving import ServedModel
from tests.ml.conftest import REPOSITORY, save

Lines = Callable[..., tuple[int, list[dict]]]


def drawing(seed: int) -> np.ndarray:
    """A drawn chest, uint8 (160, 144): the gate lets nothing else pass."""
    return np.rint(draw_chest(seed, rows=160, columns=144) * 255).astype(np.uint8)


def test_each_file_gets_one_line_and_a_bad_one_stops_nothing(
    predict_lines: Lines, tmp_path: Path, served: ServedModel
) -> None:
    good = save(drawing(1), tmp_path / "a.png")
    empty = tmp_path / "b.dcm"
    empty.write_bytes(b"")
    text = tmp_path / "c.dcm"
    text.write_text("not an image")
    last = save(drawing(2), tmp_path / "d.jpg")
    code, lines = predict_lines(good, empty, text, last)
    assert code == 0
    assert [line["file"] for line in lines] == [str(path) for path in (good, empty, text, last)]
    assert [line["status"] for line in lines] == ["ok", "refused", "refused", "ok"]
    for line in lines:
        assert line["model"] == {"name": served.name, "version": served.version, "sha256": served.sha256}
    assert lines[0]["reason"] is None
    assert lines[0]["label"] in lines[0]["probabilities"]
    assert list(lines[0]["probabilities"]) == served.labels
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert lines[0]["label"] in lines[0]["possible_labels"]
    assert lines[1]["label"] is lines[1]["probabilities"] is lines[1]["possible_labels"] is None
    assert lines[1]["reason"].endswith(".")


def test_heat_maps_have_unique_names_and_lie_in_0_to_1(predict_lines: Lines, tmp_path: Path) -> None:
    one, other = save(drawing(1), tmp_path / "x/chest.png"), save(drawing(2), tmp_path / "y/chest.png")
    code, lines = predict_lines(one, other, "--heatmap-dir", tmp_path / "maps")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["chest-2.npy", "chest.npy"]
    for line in lines:
        heat = np.load(line["heatmap"])
        assert (heat.shape, heat.dtype) == ((224, 224), np.float32)
        assert heat.min() >= 0
        assert heat.max() == 1


def test_a_folder_stands_for_its_files(predict_lines: Lines, tmp_path: Path) -> None:
    for name in ("b.png", "a.png", ".hidden", "deeper/c.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        save(drawing(1), tmp_path / "any.png").rename(path)
    _, lines = predict_lines(tmp_path)
    assert [Path(line["file"]).name for line in lines] == ["a.png", "b.png"]


def test_a_missing_file_and_a_fault_of_ours_are_errors_in_neutral_words(
    predict_lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, broken = ml.imaging.load_image, save(drawing(1), tmp_path / "broken.png")

    def load(path: Path) -> ml.imaging.GreyImage:
        if path == broken:
            raise RuntimeError("a secret detail")
        return real(path)

    monkeypatch.setattr(ml.imaging, "load_image", load)
    code, lines = predict_lines(tmp_path / "missing.png", broken, save(drawing(2), tmp_path / "good.png"))
    assert code == 1
    assert [line["status"] for line in lines] == ["error", "error", "ok"]
    assert "secret" not in lines[1]["reason"]
    assert "a secret detail" in caplog.text


def test_nothing_to_try_is_said_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path)]) == 2
    assert main(["predict", str(tmp_path), "--model", str(tmp_path)]) == 2
    assert "no file" in capsys.readouterr().err


def test_an_altered_model_answers_nothing(
    committed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(committed, tmp_path / "model"))
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"x")
    image = save(drawing(1), tmp_path / "a.png")
    assert main(["predict", str(image), "--json", "--model", str(copy)]) == 2
    output = capsys.readouterr()
    assert not output.out
    assert "refused" in output.err


def test_without_json_a_line_can_be_read_by_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = save(drawing(1), tmp_path / "a.png")
    assert main(["predict", str(image)]) == 0
    assert "a.png" in (line := capsys.readouterr().out)
    assert "normal 0." in line or "normal 1." in line


def test_the_command_runs_from_a_shell_and_prints_json_alone(tmp_path: Path) -> None:
    image = save(drawing(1), tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-m", "ml", "predict", str(image), "--json"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


def test_what_is_no_upright_chest_is_refused_with_its_reason_unless_the_gate_is_left_out(
    predict_lines: Lines, tmp_path: Path
) -> None:
    turned = save(np.rot90(drawing(3), 2), tmp_path / "turned.png")
    page = np.full((160, 144), 255, np.uint8)
    page[20:140:12, 15:130] = 0
    text = save(page, tmp_path / "page.png")
    code, lines = predict_lines(turned, text)
    assert code == 0
    assert [line["status"] for line in lines] == ["refused", "refused"]
    assert "turned by 180 degrees" in lines[0]["reason"]
    assert lines[0]["label"] is lines[0]["probabilities"] is None
    _, studied = predict_lines("--no-gate", turned, text)
    assert [line["status"] for line in studied] == ["ok", "ok"]


def test_without_a_gate_nothing_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = save(drawing(1), tmp_path / "a.png")
    monkeypatch.setattr("ml.serving.gate.default_gate_folder", lambda: tmp_path)
    assert main(["predict", str(image)]) == 2
    assert "No gate found" in capsys.readouterr().err

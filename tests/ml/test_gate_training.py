"""Training a gate by the command, to the finished folder, and measuring it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.cli import main
from ml.data.split import TRAIN, VALIDATION
from ml.gate import evaluate, hold_out, pictures, train
from ml.gate.drawings import SIZE
from ml.gate.fit import BATCH, changed, fit
from ml.gate.kinds import CLASSES, FRONTAL, KINDS
from ml.serving import load_gate


@pytest.fixture(scope="module")
def negatives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pages of stripes, in a folder named after what they are."""
    folder = tmp_path_factory.mktemp("negatives") / "stripes"
    folder.mkdir()
    for number in range(20):
        page = np.full((150, 130), 250, np.uint8)
        page[:: 3 + number] = 10
        Image.fromarray(page).save(folder / f"{number}.png")
    return folder.parent


@pytest.fixture(scope="module")
def gate_folder(drawn_data: Path, negatives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate trained for three batches on a few pictures of each kind."""
    folder = tmp_path_factory.mktemp("gate") / "gate-0.1.0"
    with pytest.MonkeyPatch.context() as patch:
        few(patch)
        arguments = ["--data", drawn_data, "--out", folder, "--negatives", negatives, "--steps", 3]
        assert main(["gate", "train", *map(str, arguments)]) == 0
    return folder


def few(patch: pytest.MonkeyPatch) -> None:
    """Make two pictures of each kind, and three drawn chests."""
    patch.setattr(pictures, "OF_EACH_KIND", 2)
    patch.setattr(pictures, "OF_EACH_LIKE_A_FILM", 2)
    patch.setattr(evaluate, "OF_EACH_KIND", 2)
    patch.setattr(evaluate, "PHANTOMS", 3)
    patch.setattr(hold_out, "OF_EACH_LEFT_OUT", 2)
    for module in (train, hold_out):
        patch.setattr(module, "PHANTOMS", {TRAIN: 3, VALIDATION: 3})


def test_the_command_writes_a_folder_that_is_served_and_says_what_it_is_made_of(
    gate_folder: Path, drawn_data: Path
) -> None:
    gate = load_gate(gate_folder)
    assert (gate.name, gate.version, gate.classes) == ("gate", "0.1.0", list(CLASSES))
    assert gate.card["training"]["steps"] == 3
    assert gate.card["training"]["given_negatives"] is True
    assert gate.card["runtime_parity"]["largest_difference"] <= 1e-4
    assert set(gate.card["data"]["sources"]) == {"radiography_database", "chest_xray", "covid_chestxray"}
    assert {kind["class"] for kind in gate.card["data"]["kinds"].values()} == set(CLASSES) - {FRONTAL}
    rows = evaluate.held_out_rows(gate_folder)
    assert set(rows["split"]) == {"validation", "test"}
    assert all((drawn_data / path).is_file() for path in rows["path"])
    assert gate.card["figures"]["frontal"]["all"]["refused"]["total"] == (rows["split"] == "test").sum()


def test_what_the_card_says_is_measured_again_by_the_command(
    gate_folder: Path,
    drawn_data: Path,
    negatives: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few(monkeypatch)
    arguments = [str(gate_folder), "--data", str(drawn_data), "--negatives", str(negatives)]
    assert main(["gate", "evaluate", *arguments, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    stripes = figures.pop("negatives")["stripes"]["refused"]["total"]
    # Four fifths of them were learned from.
    assert 0 < stripes < 20
    assert figures == json.loads((gate_folder / "card.json").read_text())["figures"]
    assert main(["gate", "evaluate", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Frontal chest X-rays wrongly refused: ")
    assert any(line.startswith("  stripes: ") for line in lines)


def test_a_gate_is_never_written_over_and_other_data_are_refused(
    gate_folder: Path, drawn_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", "train", "--data", str(drawn_data), "--out", str(gate_folder)]) == 2
    assert "never written over" in capsys.readouterr().err
    assert main(["gate", "train", "--data", str(tmp_path), "--out", str(tmp_path / "gate")]) == 2
    assert "none of the publishers' folders" in capsys.readouterr().err
    assert main(["gate", "evaluate", str(gate_folder), "--data", str(tmp_path)]) == 2
    assert "holds no" in capsys.readouterr().err


def test_leaving_out_a_source_and_its_kinds_measures_on_those_alone(
    drawn_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few(monkeypatch)
    arguments = ["--data", str(drawn_data), "--source", "covid_chestxray", "--steps", "2"]
    assert main(["gate", "hold-out", *arguments]) == 0
    figures = json.loads(capsys.readouterr().out)["covid_chestxray"]
    families = {KINDS[name].family for name in figures["kinds_never_seen_refused"]}
    assert families == set(hold_out.FOLDS["covid_chestxray"])
    # Six of the hospitals' films and the one that was in the database before, with its twin.
    assert figures["frontal_of_the_source_refused"]["total"] >= 7
    assert main(["gate", "hold-out", "--data", str(drawn_data), "--source", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_same_seed_trains_the_same_gate() -> None:
    random = np.random.default_rng(1)
    chests = random.integers(0, 256, (BATCH, SIZE, SIZE), dtype=np.uint8)
    others, labels = chests[::-1].copy(), np.full(BATCH, 9, np.int32)
    first, again = (
        fit(chests, np.array(["a"] * BATCH), others, labels, steps=2, seed=4).get_weights() for _ in range(2)
    )
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(first, again, strict=True))


def test_a_changed_film_stays_in_range_and_depends_on_its_key_alone() -> None:
    films = np.random.default_rng(2).random((6, SIZE, SIZE, 1), dtype=np.float32)
    first, same, other = (changed(films, np.array(key, np.int32)).numpy() for key in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1


def test_the_threshold_keeps_each_source_under_its_share_of_refusals() -> None:
    random = np.random.default_rng(3)
    scores = np.zeros((2000, len(CLASSES)))
    scores[:, 0] = random.uniform(0.6, 1, 2000)
    strata = np.array(["a"] * 1000 + ["b c"] * 1000)
    highest = train.least_frontal(scores, strata)
    refused = [(rows < highest).mean() for rows in (scores[:1000, 0], scores[1000:, 0])]
    # As high as the stricter of both sources allows.
    assert 0.01 < max(refused) <= train.WRONGLY_REFUSED
    scores[1000:1050, 0] = random.uniform(0, 0.4, 50)
    threshold = train.least_frontal(scores, strata)
    assert threshold < 0.4
    assert (scores[1000:, 0] < threshold).mean() <= train.WRONGLY_REFUSED

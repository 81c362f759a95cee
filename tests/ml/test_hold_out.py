"""Training without some sources and measuring on them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.cli import main
from ml.data.manifest import add_hashes, list_images
from ml.training.config import load_config
from ml.training.hold_out import areas, hide, part_strata, prepare
from tests.ml.conftest import TINY, drawing, save


@pytest.fixture(scope="module")
def data(drawn_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn data and a fourth publisher: ten normals, one of them a copy of a child."""
    folder = tmp_path_factory.mktemp("four")
    for source in drawn_data.iterdir():
        (folder / source.name).symlink_to(source)
    for n in range(11):
        save(drawing(600 + n, 1), folder / f"darkcovidnet/No_findings/{n:08d}_000.jpg")
    save(drawing(205, 1), folder / "darkcovidnet/No_findings/00000099_000.jpg", quality=80)
    for n in range(12):
        save(drawing(700 + n, 0), folder / f"darkcovidnet/Covid-19/case-{n}.jpg")
    return folder


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps({**TINY, "unseen_source": None}))
    return path


def test_nothing_left_out_has_a_twin_or_a_patient_in_training(data: Path, config_file: Path) -> None:
    seen, unseen = prepare(load_config(config_file), data, ["darkcovidnet"])
    assert set(unseen["source"]) == {"darkcovidnet"}
    assert len(unseen) == 24
    assert set(seen["source"]) == {"chest_xray", "radiography_database"}
    together = add_hashes(list_images(data, TINY["sources"] + ["darkcovidnet"]), data)
    groups = together.set_index("path")["group"]
    assert not set(groups[seen["path"]]) & set(groups[unseen["path"]])
    assert "chest_xray/train/NORMAL/IM-0005-0001.jpeg" not in set(seen["path"])


def test_a_label_of_a_source_can_be_left_out_alone(data: Path, config_file: Path) -> None:
    seen, unseen = prepare(load_config(config_file), data, ["normal/chest_xray"])
    assert (unseen["label"] + "/" + unseen["source"]).unique().tolist() == ["normal/chest_xray"]
    assert "viral_pneumonia/chest_xray" in set(seen["label"] + "/" + seen["source"])
    # The copy of a left-out child in the other set is gone as well.
    assert not seen["path"].str.endswith("Normal-20.png").any()


@pytest.mark.parametrize(
    ("left_out", "reason"),
    [
        (["bacterial_pneumonia/radiography_database"], "hold no image of bacterial_pneumonia"),
        (["radiography_database"], "no image to train on of: covid19"),
    ],
)
def test_what_cannot_be_left_out_is_refused(
    left_out: list[str], reason: str, data: Path, config_file: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        prepare(load_config(config_file), data, left_out)


def test_a_stratum_is_a_source_or_a_label_of_it() -> None:
    rows = pd.DataFrame({"label": ["a", "b", "a"], "source": ["one", "one", "two"]})
    assert part_strata(rows, ["one"]).tolist() == [True, True, False]
    assert part_strata(rows, ["a/one", "two"]).tolist() == [True, False, True]


def test_the_border_control_sees_the_border_alone() -> None:
    squares = np.random.default_rng(1).integers(0, 255, (2, 32, 32), dtype=np.uint8)
    hidden = hide(squares, "borders", Path())
    assert (hidden[:, 4:-4, 4:-4] == 127).all()
    assert (hidden[:, :4] == squares[:, :4]).all()
    assert (hidden[:, :, -4:] == squares[:, :, -4:]).all()
    assert (hide(squares, "none", Path()) == squares).all()


def test_each_pair_of_sick_and_other_strata_is_measured_and_small_ones_are_not() -> None:
    strata = np.repeat(["covid19/a", "normal/b", "normal/c", "normal/d"], [10, 10, 10, 9])
    truth = np.array([name.split("/")[0] for name in strata])
    score = np.concatenate([np.arange(10), np.arange(-10, 0), np.arange(20, 30), np.zeros(9)])
    found = areas(strata, truth, score, "covid19")
    assert set(found) == {"covid19/a against normal/b", "covid19/a against normal/c"}
    assert found["covid19/a against normal/b"]["value"] == 1.0
    assert found["covid19/a against normal/c"]["value"] == 0.0
    assert found["covid19/a against normal/c"]["images"] == [10, 10]


def test_the_command_measures_inside_and_outside_and_continues_only_its_own_run(
    data: Path, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["hold-out", "--data", data, "--config", config_file, "--leave-out", "darkcovidnet",
                 "--epochs", "1", "--work", tmp_path / "work"]  # fmt: skip
    assert main(list(map(str, arguments))) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["trained_on"]["covid19/radiography_database"] == 20
    assert not [name for name in figures["trained_on"] if name.endswith("/darkcovidnet")]
    pair = figures["auroc"]["left_out"]["covid19/darkcovidnet against normal/darkcovidnet"]
    assert pair["images"] == [12, 12]
    assert 0 <= pair["value"] <= 1
    assert main([*map(str, arguments), "--control", "borders"]) == 2
    assert "another protocol" in capsys.readouterr().err
    assert main([*map(str, arguments), "--positive", "flu"]) == 2
    assert "no label flu" in capsys.readouterr().err

"""The notebook runs from its first cell to its last, and its outputs are of what lies beside it."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from ml.serving import default_model_folder
from notebooks import run

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def committed_notebook():
    return run.read()


def notebook_of(*sources: str):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def outputs_of(notebook) -> list:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def test_every_cell_runs_on_a_small_share_of_the_data(real_data: Path, committed_notebook, monkeypatch):
    monkeypatch.setenv("CXR_DATA", str(real_data))
    result = run.execute(committed_notebook, share="small", show_images=True)
    cells = [cell for cell in result["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert run.untidy(result) == []


def test_a_cell_that_fails_fails_the_run():
    with pytest.raises(CellExecutionError, match="not what the text says"):
        run.execute(notebook_of("1 + 1", "raise AssertionError('not what the text says')"), share="small")


def test_progress_bars_are_not_kept_and_results_are():
    source = "import sys\nfrom tqdm import tqdm\nlist(tqdm(range(3)))\nprint('a result')\nsys.argv[0]"
    result = run.execute(notebook_of(source), share="small")
    printed, returned = outputs_of(result)
    assert printed["text"] == "a result\n"
    assert returned["output_type"] == "execute_result"


@pytest.mark.parametrize(
    "text",
    ["/home/somebody/data", "at '/opt/portal/x.py'", "C:\\Users", " 40%|####", "12.5 it/s]", "\x1b[31m"],
)
def test_paths_of_a_machine_and_litter_are_found(text):
    notebook = notebook_of("")
    notebook["cells"][0]["outputs"] = [
        nbformat.v4.new_output("stream", name="stdout", text=f"found {text} here")
    ]
    assert run.untidy(notebook) != []


def test_figures_and_relative_paths_are_no_litter():
    notebook = notebook_of("")
    text = "2021/11 images, docs/model.md, 95 % of 3/4, covid19/radiography_database, and/or"
    notebook["cells"][0]["outputs"] = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    assert run.untidy(notebook) == []


def test_the_outputs_are_of_a_run_of_these_very_cells_over_all_images(committed_notebook):
    made = committed_notebook["metadata"]["run"]
    assert made["sources_sha256"] == run.digest(committed_notebook), "run `make notebook`"
    assert made["share"] == "full"


def test_a_changed_cell_makes_the_outputs_old(committed_notebook):
    changed = nbformat.from_dict(committed_notebook)
    [*_, last] = [cell for cell in changed["cells"] if cell["cell_type"] == "code"]
    last["source"] += " "
    assert run.digest(changed) != run.digest(committed_notebook)


def test_the_outputs_are_of_the_model_that_is_served(committed_notebook, monkeypatch):
    monkeypatch.delenv("CXR_MODEL_DIR", raising=False)
    assert committed_notebook["metadata"]["run"]["model"] == default_model_folder().name, (
        "run `make notebook`"
    )


def test_no_image_of_a_data_set_was_shown_in_the_committed_run(committed_notebook):
    assert committed_notebook["metadata"]["run"]["show_images"] is False


def test_the_committed_outputs_are_small_and_hold_no_path_no_litter_and_no_error(committed_notebook):
    assert run.NOTEBOOK.stat().st_size < 1.5 * MEBIBYTE
    assert run.untidy(committed_notebook) == []
    kinds = {output["output_type"] for output in outputs_of(committed_notebook)}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert all(output.get("name") != "stderr" for output in outputs_of(committed_notebook))


def test_the_text_states_no_figure_that_a_run_could_contradict(committed_notebook):
    prose = "\n".join(
        cell["source"] for cell in committed_notebook["cells"] if cell["cell_type"] == "markdown"
    )
    assert re.findall(r"\d\.\d{2,}|\d+(?:\.\d+)? %", prose) == []

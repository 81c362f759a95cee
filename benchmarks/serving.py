"""How fast, how big and how soon ready: the runtime export beside ``keras.Model.predict``, in one run.

``python -m benchmarks.serving`` prints one line for each runtime. Each is measured in a process of its own on two threads, with
one image of 224 x 224 at a time, scores and maps included; the two take turns, and the medians are compared.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 3
IMAGES = {"onnx": 400, "keras": 60}


def measure(runtime: str, folder: Path | None = None) -> dict[str, float]:
    """Ready after (s), images/s and peak memory (MB) of this process, which must not have served before. `folder`: of
    the model, by default the one that is served.
    """
    started = time.perf_counter()
    from ml.serving import default_model_folder, load_model

    folder = folder or default_model_folder()
    pixels = np.random.default_rng(0).random((224, 224), dtype=np.float32)
    model: Any = load_model(folder, runtime=runtime)
    if runtime == "keras":
        # What a worker without the export would do: the usual call, not the bare graph.
        import keras

        network = keras.models.load_model(folder / "model.keras", compile=False)
        batch = model.preprocessing(pixels)

        def predict() -> object:
            return network.predict(batch, verbose=0)
    else:

        def predict() -> object:
            return model.predict(pixels)

    predict()
    ready = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(IMAGES[runtime]):
        predict()
    rate = IMAGES[runtime] / (time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ready_s": ready, "images_per_s": rate, "peak_mb": peak}


def compare(folder: Path | None = None) -> dict[str, dict[str, float]]:
    """The medians of `measure` for each runtime, each in processes of its own, in turns."""
    runs: dict[str, list[dict[str, float]]] = {"onnx": [], "keras": []}
    for _ in range(ROUNDS):
        for runtime, results in runs.items():
            output = subprocess.run(
                [sys.executable, "-m", "benchmarks.serving", runtime, *([str(folder)] if folder else [])],
                check=True,
                capture_output=True,
                text=True,
                cwd=Path(__file__).parent.parent,
            ).stdout
            results.append(json.loads(output.splitlines()[-1]))
    return {
        runtime: {name: statistics.median(result[name] for result in results) for name in results[0]}
        for runtime, results in runs.items()
    }


def main() -> None:
    medians = compare()
    for runtime, figures in medians.items():
        print(
            f"{runtime:6} {figures['images_per_s']:6.0f} images/s  ready after {figures['ready_s']:.2f} s  "
            f"{figures['peak_mb']:.0f} MB"
        )
    print(f"ratio  {medians['onnx']['images_per_s'] / medians['keras']['images_per_s']:.1f} x")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)))
    else:
        main()

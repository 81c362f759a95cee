"""ONNX Runtime as every network here is run: the same bits each time, and no core taken while idle."""

from __future__ import annotations

from typing import Any


def onnx_session(content: bytes, *, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` of a verified ONNX file's bytes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # Idle threads that spin would take the cores from the other workers of this machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

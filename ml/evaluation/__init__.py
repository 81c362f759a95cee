"""Measuring a model folder, with the runtime export that is served."""

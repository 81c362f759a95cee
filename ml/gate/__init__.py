"""The input gate: how it learns to tell one upright frontal chest X-ray from everything else, and how well it does.

Using it is `ml.serving.gate`, which needs nothing of this package.
"""

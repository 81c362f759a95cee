"""What lies in the working folder of a training run until its model is written."""

CONFIG = "config.json"
MANIFEST = "manifest.csv"
DUPLICATES = "duplicates.json"
STATE = "state.json"
HISTORY = "history.csv"
BEST = "best.weights.h5"
DRAFT = "draft"

"""`python -m ml`: train, evaluate and use a chest X-ray model from a shell."""

import sys

from ml.cli import main

if __name__ == "__main__":
    sys.exit(main())

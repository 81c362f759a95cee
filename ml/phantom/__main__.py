"""`python -m ml.phantom --out DIR --count N` writes a demonstration set of drawn chest X-rays."""

import argparse
from pathlib import Path

from ml.phantom.demo import write_demo_set


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.phantom", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; made where missing")
    parser.add_argument("--count", type=int, default=12, help="how many files (12)")
    parser.add_argument("--size", type=int, default=1024, help="rows and columns of each (1024)")
    arguments = parser.parse_args()
    for path in write_demo_set(arguments.out, arguments.count, rows=arguments.size, columns=arguments.size):
        print(path)


if __name__ == "__main__":
    main()

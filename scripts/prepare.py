"""Make what a start needs: the virtual environment with the pinned packages, and the built front end.

It runs with whatever Python the machine has, before anything is installed: standard library only, and no syntax that an old
Python cannot read, so that it can say in one sentence what is wrong.
"""

import os
import re
import subprocess
import sys

MINIMUM = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOG_DIR = os.path.join(ROOT, "var", "log")
NO_NETWORK = re.compile(
    "NewConnectionError|NameResolutionError|ConnectTimeoutError|Failed to establish|Temporary failure in name resolution"
    "|Max retries exceeded|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT"
)


def stop(sentence):
    sys.exit("\n" + sentence)


def check_python():
    if sys.version_info[:2] < MINIMUM:
        stop(
            "Python %d.%d is too old: the portal needs Python %d.%d or newer. Install one and name it, for example: "
            "make run PYTHON=python3.11" % (sys.version_info[:2] + MINIMUM)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "This Python has no venv module. Install it (on Debian and Ubuntu: apt-get install python3-venv) and run the "
            "command again."
        )


def run(title, log_name, command, step=None, of=0, cwd=ROOT):
    """Run `command` with its output in a log; lines that match `step` count as progress. A failure stops with a sentence."""
    os.makedirs(LOG_DIR, exist_ok=True)
    log = os.path.join(LOG_DIR, log_name)
    count, network = 0, False
    tty = sys.stdout.isatty()
    print(title + " ...", flush=True)
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
        )
        for line in process.stdout:
            file.write(line)
            network = network or bool(NO_NETWORK.search(line))
            if of and re.search(step, line):
                count += 1
                if tty:
                    print("\r  %d of %d" % (min(count, of), of), end="", flush=True)
    if count and tty:
        print()
    if process.wait() == 0:
        return
    if network:
        stop(
            "%s failed because the network cannot be reached. The first start downloads packages; connect the machine and "
            "run the command again (later starts work offline)." % title
        )
    stop("%s failed. What it printed is in %s." % (title, os.path.relpath(log, ROOT)))


def pinned(path):
    with open(path) as file:
        return sum(1 for line in file if re.match(r"[A-Za-z0-9_.-]+==", line))


def install(requirements):
    check_python()
    venv = os.path.join(ROOT, ".venv")
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(os.path.join(venv, "bin", "pip")):
        command = [sys.executable, "-m", "venv", "--clear", venv]
        run("Making the virtual environment", "prepare-venv.log", command)
    options = "--require-hashes --disable-pip-version-check --no-input --retries 2".split()
    command = [python, "-m", "pip", "install"] + options + ["-r", os.path.join(ROOT, requirements)]
    run(
        "Installing the pinned Python packages of " + requirements,
        "prepare-python.log",
        command,
        step="^(Collecting|Requirement already satisfied)",
        of=pinned(os.path.join(ROOT, requirements)),
    )


def front_end(goal):
    # The Node of the virtual environment: pinned like everything else, and there on a machine that has none.
    bin_dir = os.path.join(ROOT, ".venv", "bin")
    os.environ["PATH"] = bin_dir + os.pathsep + os.environ.get("PATH", "")
    frontend = os.path.join(ROOT, "frontend")
    npm = os.path.join(bin_dir, "npm")
    if goal == "install":
        command = [npm, "ci", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        run("Installing the pinned front-end packages", "prepare-npm.log", command, cwd=frontend)
    else:
        run("Building the front end", "prepare-build.log", [npm, "run", "build"], cwd=frontend)


if __name__ == "__main__":
    {"python": install, "front-end": front_end}[sys.argv[1]](sys.argv[2])

"""Where things are, and how the programs that judge them are called."""

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TOOLS = ROOT / "target/tools"
INVALID = HERE / "invalid"

# Longer than any of the programs takes, so that one that hangs is told by name.
SECONDS_MAX = 120


def run(*command, **options):
    """Runs a program to its end; what it said comes back as text, whatever its exit code."""
    options.setdefault("timeout", SECONDS_MAX)
    return subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )


def program(name):
    """One of those that tests/support/deploy/setup.sh installs."""
    for folder in ("bin", "venv/bin"):
        if (TOOLS / folder / name).is_file():
            return TOOLS / folder / name
    raise FileNotFoundError(f"{name}: run tests/support/setup.sh test")


def binary(name):
    """A program of this repository, as `cargo build --workspace` left it."""
    given = os.environ.get("RETROTAP_BINARY")
    folder = Path(given).parent if given else ROOT / "target/debug"
    path = folder / name
    assert path.is_file(), f"{path} is missing: cargo build --workspace"
    return path


def relative(path):
    """A path as a reader of the repository knows it."""
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def is_pinned(image):
    """Whether an image names one version: a digest, or a tag with a number that isn't a moving one."""
    name, _, tag = image.rpartition(":")
    if "@sha256:" in image:
        return True
    return bool(name) and "/" not in tag and tag[:1].isdigit() and "." in tag

"""What is wrong with a Dockerfile.

Judged by hadolint (which has ShellCheck inside), and then by rules of our own: what is copied must be
sent to the builder by `.dockerignore`, images must name one version, and the last stage must not be root.
"""

import functools
import json
import re

from docker.utils.build import exclude_paths

from tools import ROOT, is_pinned, program, relative, run


def instructions(text):
    """The instructions of a Dockerfile as (keyword, rest), with continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    for line in joined.splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword:
            yield keyword.upper(), rest.strip()


@functools.cache
def context():
    """The files that `.dockerignore` lets through to the builder."""
    patterns = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return frozenset(exclude_paths(str(ROOT), patterns))


def is_sent(source):
    """Whether a path of a COPY, which may be a pattern, is in the builder's context."""
    source = source.rstrip("/")
    return source == "." or any(
        path == source or path.startswith(source + "/") for path in context()
    )


def problems(path):
    """Each problem of a Dockerfile, as a line."""
    found = []
    said = run(program("hadolint"), "--config", ROOT / "docker/hadolint.yaml", "--format", "json", path)
    try:
        for problem in json.loads(said.stdout):
            found.append(f"line {problem['line']}: {problem['code']} {problem['message']}")
    except ValueError:
        found.append(said.stdout.strip())
    found += own_rules(path.read_text())
    return [f"{relative(path)}: {problem}" for problem in found]


def own_rules(text):
    stages, user, has_health = [], "0", False
    for keyword, rest in instructions(text):
        if keyword == "FROM":
            words = [word for word in rest.split() if not word.startswith("--")]
            if words[0] not in stages and not is_pinned(words[0]):
                yield f"{words[0]} names no version"
            stages.append(words[2] if len(words) > 2 else str(len(stages)))
            user, has_health = "0", False
        elif keyword == "USER":
            user = rest.split(":")[0]
        elif keyword == "HEALTHCHECK":
            has_health = True
        elif keyword in ("COPY", "ADD"):
            yield from copied(rest, stages)
    if not has_health:
        yield "no HEALTHCHECK"
    if user in ("0", "root") and "ignore=DL3002" not in text:
        yield "the image runs as root"


def copied(rest, stages):
    words = rest.split()
    origin = [word.removeprefix("--from=") for word in words if word.startswith("--from=")]
    sources = [word for word in words if not word.startswith("--")][:-1]
    if origin:
        if origin[0] not in stages and not is_pinned(origin[0]):
            yield f"COPY from {origin[0]}, which is no stage and names no version"
        return
    for source in sources:
        if not is_sent(source):
            yield f"COPY {source}: it isn't there, or .dockerignore keeps it back"

"""What is wrong with a compose file.

Judged by the loader that `docker compose` itself is built on (compose-spec's schema, interpolation,
consistency), and then by rules of our own: pinned images, limits, health, no rights, no secret in an
environment, and no port open to the world but the broker's.
"""

import json
import os
import re

import yaml

from dockerfiles import instructions
from tools import ROOT, is_pinned, program, relative, run

# What may be published on every address, and what on this computer alone.
PORTS_OPEN = {"8883"}
PORTS_LOCAL = {"3000", "8086"}
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY\b", re.IGNORECASE)


def load(path):
    """The model as `docker compose` would see it, or what it says is wrong."""
    said = run(program("compose-load"), path, env={"PATH": os.environ["PATH"], "HOME": "/"})
    if said.returncode != 0:
        return None, said.stdout.strip() or "the loader said nothing"
    return json.loads(said.stdout), None


def problems(path):
    """Each problem of a compose file, as a line."""
    model, error = load(path)
    found = [error] if error else list(own_rules(path, model))
    return [f"{relative(path)}: {problem}" for problem in found]


def own_rules(path, model):
    mounted = set()
    for name, service in model["services"].items():
        for problem in of_service(path, service):
            yield f"{name}: {problem}"
        for volume in service.get("volumes", []):
            if volume["type"] == "volume":
                mounted.add(volume["source"])
            elif not (path.parent / volume["source"]).exists():
                yield f"{name}: {volume['source']} isn't there"
    for unused in sorted(set(model.get("volumes", {})) - mounted):
        yield f"volume {unused}: nobody mounts it"


def of_service(path, service):
    once = service.get("restart") == "no"
    if not is_pinned(service.get("image", "")):
        yield f"image `{service.get('image', '')}` names no version"
    if service.get("cap_drop") != ["ALL"]:
        yield "cap_drop: [ALL] is missing"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "no-new-privileges is missing"
    if "max-size" not in service.get("logging", {}).get("options", {}):
        yield "its log has no limit"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for what in ("cpus", "memory", "pids"):
        if what not in limits:
            yield f"no limit for {what}"
    if service.get("restart") not in ("no", "unless-stopped"):
        yield "no restart policy"
    user, has_health = of_image(path, service)
    if not once and str(service.get("user", user)).split(":")[0] in ("0", "root"):
        yield "runs as root"
    if not once and not service.get("healthcheck") and not has_health:
        yield "no health check"
    for variable in service.get("environment") or {}:
        if SECRET.search(variable) and not re.search(r"_FILE$|CLIENT_KEY$", variable):
            yield f"{variable}: a secret belongs into a file"
    for port in service.get("ports", []):
        published, address = port.get("published"), port.get("host_ip", "")
        if not (published in PORTS_OPEN or (published in PORTS_LOCAL and address == "127.0.0.1")):
            yield f"port {published} is published on `{address or 'every address'}`"


def of_image(path, service):
    """User and health check that the image of a service brings, where it is built from a file of ours."""
    build = service.get("build")
    if not build:
        return "0", False
    file = ROOT / build["dockerfile"]
    user, has_health = "0", False
    for keyword, rest in instructions(file.read_text()):
        if keyword == "USER":
            user = rest.split(":")[0]
        has_health = has_health or (keyword == "HEALTHCHECK" and rest != "NONE")
    return user, has_health


def environment(service_name):
    """The variables of a service of docker/compose.yaml as they stand in the file."""
    text = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())
    return text["services"][service_name].get("environment", {})

"""Each file of docker/ and k8s/ has no problem, and each checker finds the one of a broken file.

A sample in invalid/<checker>/ has a file `.err` beside it with what must be said of it, a line each.
"""

import re

import pytest
import yaml

import compose
import dashboard
import dockerfiles
import manifests
from tools import HERE, INVALID, ROOT, binary, relative, run

OVERLAYS = sorted((ROOT / "k8s/overlays").iterdir())
SCRIPTS = sorted(
    path
    for pattern in ("docker/*.sh", "tests/support/**/*.sh", ".ci/run")
    for path in ROOT.glob(pattern)
)


def kubernetes_problems(path):
    return manifests.problems(list(yaml.safe_load_all(path.read_text())))


def shell_problems(path):
    said = run("shellcheck", "--format=gcc", path)
    return said.stdout.strip().splitlines()


CHECKERS = {
    "compose": (compose.problems, "*.yaml"),
    "docker": (dockerfiles.problems, "*.Dockerfile"),
    "dashboard": (dashboard.problems, "*.json"),
    "kubernetes": (kubernetes_problems, "*.yaml"),
    "kustomize": (manifests.overlay_problems, "*/"),
    "shell": (shell_problems, "*.sh"),
}


def samples(folder):
    for kind, (problems, pattern) in CHECKERS.items():
        for path in sorted((HERE / folder / kind).glob(pattern)):
            if path.is_dir() == (kind == "kustomize"):
                yield pytest.param(problems, path, id=f"{kind}/{path.name}")


@pytest.mark.parametrize(("problems", "path"), list(samples("invalid")))
def test_a_broken_file_is_found(problems, path):
    wanted = path.with_suffix(".err").read_text().splitlines()
    found = problems(path)
    for line in wanted:
        assert any(line in problem for problem in found), f"{line!r} is not in {found}"


@pytest.mark.parametrize(("problems", "path"), list(samples("valid")))
def test_the_least_that_is_right_passes(problems, path):
    """The broken samples were made of these, so what is said of them is said of their one mistake."""
    assert problems(path) == []


def test_every_sample_says_what_is_wrong_with_it():
    stems = {path.with_suffix("") for path in INVALID.glob("*/*") if path.suffix != ".err"}
    assert stems == {path.with_suffix("") for path in INVALID.glob("*/*.err")}
    assert {path.parent.name for path in stems} == set(CHECKERS), "every checker is tried"


@pytest.mark.parametrize("path", sorted((ROOT / "docker").glob("*.Dockerfile")), ids=relative)
def test_the_dockerfiles_are_right(path):
    assert dockerfiles.problems(path) == []


def test_the_compose_file_is_right():
    assert compose.problems(ROOT / "docker/compose.yaml") == []


@pytest.mark.parametrize("overlay", OVERLAYS, ids=relative)
def test_the_manifests_are_right(overlay):
    assert manifests.overlay_problems(overlay) == []


@pytest.mark.parametrize("path", sorted((ROOT / "docker/grafana/dashboards").glob("*.json")), ids=relative)
def test_the_dashboards_are_right(path):
    assert dashboard.problems(path) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_the_scripts_are_right(path):
    assert shell_problems(path) == []


def test_no_file_is_left_out():
    """What nobody names is checked by nobody."""
    for path in (ROOT / "k8s").rglob("*.yaml"):
        if path.name == "kustomization.yaml":
            continue
        text = (path.parent / "kustomization.yaml").read_text()
        assert re.search(rf"\b{re.escape(path.name)}\b", text), f"{relative(path)} is in no kustomization"
    named = (ROOT / "docker/compose.yaml").read_text() + "".join(
        path.read_text() for path in (ROOT / "docker").glob("*.Dockerfile")
    )
    # What the linter reads, and the folders that are mounted whole.
    elsewhere = {"compose.yaml", "hadolint.yaml", "gateway.Dockerfile"}
    for path in (ROOT / "docker").iterdir():
        assert path.name in elsewhere or path.name in named, f"{relative(path)} is used by nobody"


def test_what_is_sent_to_the_builder_is_enough_for_cargo(tmp_path):
    """A crate of the workspace that .dockerignore keeps back would fail every image."""
    for path in dockerfiles.context():
        if (ROOT / path).is_file():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(ROOT / path)
    said = run("cargo", "metadata", "--locked", "--offline", "--format-version=1", "--no-deps", cwd=tmp_path)
    assert said.returncode == 0, said.stdout
    assert not (tmp_path / "target/release").exists() and not (tmp_path / ".git").exists()


def test_grafana_finds_what_is_provisioned():
    """The paths and names in docker/grafana/provisioning are those of the compose file and the dashboard."""
    model, error = compose.load(ROOT / "docker/compose.yaml")
    assert error is None
    mounts = {one["target"] for one in model["services"]["grafana"]["volumes"]}
    provisioning = ROOT / "docker/grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/lake.yaml").read_text())["providers"]
    assert provider["options"]["path"] in mounts
    (source,) = yaml.safe_load((provisioning / "datasources/lake.yaml").read_text())["datasources"]
    assert source["uid"] == "lake"
    token = re.fullmatch(r"\$__file\{(.*)/token\}", source["secureJsonData"]["token"])[1]
    assert token in mounts
    influxdb = model["services"]["influxdb"]
    assert token in {one["target"] for one in influxdb["volumes"]}, "InfluxDB writes it there"
    assert f"{token}/token" in (ROOT / "docker/influxdb-tokens.sh").read_text()
    assert source["jsonData"]["organization"] == influxdb["environment"]["DOCKER_INFLUXDB_INIT_ORG"]
    assert source["jsonData"]["defaultBucket"] == influxdb["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]


def test_the_topics_are_those_of_the_lake():
    for overlay in OVERLAYS:
        documents, error = manifests.build(overlay)
        assert error is None
        topics = {one["metadata"]["name"] for one in documents if one["kind"] == "KafkaTopic"}
        names = ("records", "frames", "inputs", "alarms", "schemas", "refused")
        assert topics == {f"retrotap.{name}" for name in names}


def test_the_handbook_names_the_secrets_that_are_made_by_hand():
    text = (ROOT / "docs/lake-install.md").read_text()
    for secret in manifests.GIVEN_SECRETS:
        assert f"create secret generic {secret}" in text, secret


def commands_elsewhere():
    """The lines of the handbook that need an engine or a cluster."""
    for page in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]:
        for block in re.findall(r"```sh elsewhere\n(.*?)```", page.read_text(), re.DOTALL):
            yield from (line.split("#")[0].strip() for line in block.splitlines())


def test_the_commands_of_the_handbook_name_what_there_is():
    """They can't be run here; but files, services and overlays that they name can be looked up."""
    model, error = compose.load(ROOT / "docker/compose.yaml")
    assert error is None
    services, seen = set(model["services"]), set()
    for line in commands_elsewhere():
        words = line.split()
        if line.startswith("docker compose"):
            assert words[2] == "-f" and (ROOT / words[3]).is_file(), line
            command, rest = words[4], [word.split(":")[0] for word in words[5:] if not word.startswith("-")]
            seen.add(command)
            if command in ("run", "exec", "cp"):
                assert rest[0] in services, line
            elif command in ("restart", "logs"):
                assert set(rest) <= services, line
            elif command == "kill":
                assert rest[-1] in services, line
            else:
                assert command == "up", line
        elif line.startswith("kubectl apply"):
            assert (ROOT / words[-1] / "kustomization.yaml").is_file(), line
            seen.add("apply")
    assert seen >= {"up", "run", "cp", "apply"}, "the handbook is read"


@pytest.mark.parametrize("role", ["ingest", "sink"])
def test_every_variable_is_one_that_the_program_knows(role):
    """A misspelt variable would be taken by nobody, and said by nobody."""
    said = run(binary("retrotap-lake"), role, "--help").stdout
    if "RETROTAP_LAKE_" not in said:
        pytest.skip(f"retrotap-lake has no {role} in this version")
    known = set(re.findall(r"RETROTAP_LAKE_\w+", said))
    given = set(compose.environment(role))
    for overlay in OVERLAYS:
        documents, error = manifests.build(overlay)
        assert error is None
        for one in documents:
            if one["kind"] == "Deployment" and one["metadata"]["name"] == role:
                (container,) = one["spec"]["template"]["spec"]["containers"]
                given |= {variable["name"] for variable in container["env"]}
            if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith(f"{role}-"):
                given |= set(one["data"])
    assert given <= known, given - known

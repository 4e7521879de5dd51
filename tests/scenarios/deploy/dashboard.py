"""What is wrong with a Grafana dashboard.

Each query is judged by Flux's own checker. That what it asks for exists is looked up in the manifests of
the shipped stages and in docs/mqtt.md. The rest are rules of our own: Grafana's own schema isn't shipped
in any package, so structure is checked where a mistake would show as an empty or misread panel.
"""

import functools
import json
import re
import subprocess

import yaml

from tools import HERE, ROOT, TOOLS, relative

COLUMNS = 24
BUCKETS = {"retrotap", "retrotap_1m"}
# What every point of the lake has besides its record's own fields.
FIELDS_OF_EVERY_POINT = {"seq", "frame", "module", "clock"}
TAGS = {"site", "gateway", "machine"}
# Grafana's names of units, by the end of a field's name.
UNITS = {"_m_per_s": "velocityms", "_mm": "lengthmm", "_m": "lengthm", "_deg": "degree", "_s": "s"}
UNITS_KNOWN = set(UNITS.values()) | {"rps", "locale", "string", "none"}
WITHOUT_UNIT = {"text", "row"}


@functools.cache
def measurements():
    """Every record and its fields: those of the shipped stages, and the gap of docs/mqtt.md."""
    known = {}
    for manifest in (ROOT / "pipelines/stages").glob("*/manifest.yaml"):
        for record in yaml.safe_load(manifest.read_text()).get("records", []):
            fields = {field["name"] for field in record.get("fields", [])}
            known.setdefault(record["record"], set()).update(fields)
    for block in re.findall(r"```json\n(.*?)```", (ROOT / "docs/mqtt.md").read_text(), re.DOTALL):
        for line in block.splitlines():
            if line.startswith('{"v":1') and '"record":"gap"' in line:
                known.setdefault("gap", set()).update(json.loads(line)["fields"])
    return known


def scripts(dashboard):
    """Every query of a dashboard with its place."""
    for panel in dashboard.get("panels", []):
        for target in panel.get("targets", []):
            yield f"panel {panel.get('id')}", target.get("query", "")
    for variable in dashboard.get("templating", {}).get("list", []):
        yield f"variable {variable.get('name')}", variable.get("query", "")


def as_grafana_sends_it(script):
    """A query with variables put in, and with the record `v` that Grafana's data source adds."""
    lines = re.sub(r"\$\{\w+:regex\}", ".*", script).split("\n")
    imports = max((n + 1 for n, line in enumerate(lines) if line.startswith("import ")), default=0)
    v = "option v = {timeRangeStart: -1h, timeRangeStop: now(), windowPeriod: 10s}"
    return "\n".join([*lines[:imports], v, *lines[imports:]])


def flux_problems(dashboard):
    """What Flux's own checker refuses."""
    places = list(scripts(dashboard))
    package = TOOLS / "flux/node_modules/@influxdata/flux-lsp-node"
    asked = json.dumps([as_grafana_sends_it(script) for _, script in places])
    said = subprocess.run(
        ["node", HERE / "flux.cjs", package],
        input=asked, capture_output=True, text=True, check=True, timeout=60,
    )
    for (place, _), right in zip(places, json.loads(said.stdout), strict=True):
        if not right:
            yield f"{place}: Flux refuses the query"


def own_rules(dashboard):
    """Rules of our own."""
    panels = dashboard.get("panels", [])
    for number in sorted({one.get("id") for one in panels if ids(panels).count(one.get("id")) > 1}):
        yield f"id {number} is given twice"
    variables = {one["name"] for one in dashboard.get("templating", {}).get("list", [])}
    for place, script in scripts(dashboard):
        yield from (f"{place}: {problem}" for problem in of_query(script, variables))
    for panel in panels:
        yield from (f"panel {panel.get('id')}: {problem}" for problem in of_panel(panel))
    for first in panels:
        for second in panels:
            if first["id"] < second["id"] and overlap(first["gridPos"], second["gridPos"]):
                yield f"panels {first['id']} and {second['id']} lie over each other"
    words = " ".join(one.get("options", {}).get("content", "") for one in panels if one["type"] == "text")
    if "advisory" not in words or "not a safety function" not in words:
        yield "nothing says that distances are advisory and no safety function"


def ids(panels):
    return [one.get("id") for one in panels]


def overlap(one, other):
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def of_panel(panel):
    if not panel.get("title"):
        yield "no title"
    place = panel["gridPos"]
    if place["x"] < 0 or place["x"] + place["w"] > COLUMNS:
        yield "it stands beside the page"
    if panel["type"] in WITHOUT_UNIT:
        return
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
    if unit not in UNITS_KNOWN:
        yield f"unit `{unit}`"
    if panel.get("datasource", {}).get("uid") != "lake":
        yield "its data source isn't the lake"
    if not panel.get("targets"):
        yield "it asks nothing"
    fields = {field for target in panel.get("targets", []) for field in fields_of(target["query"])}
    for field in fields:
        end = next((end for end in UNITS if field.endswith(end)), None)
        if end and UNITS[end] != unit:
            yield f"{field} in `{unit}`"
        if ("distance" in field or "closing" in field) and "advisory" not in panel["title"].lower():
            yield f"the title doesn't say that {field} is advisory"


def fields_of(script):
    return re.findall(r'r\._field == "([^"]+)"', script)


def of_query(script, variables):
    for variable in set(re.findall(r"\$\{(\w+)", script)) - variables:
        yield f"there is no variable {variable}"
    for bucket in set(re.findall(r'bucket: "([^"]+)"', script)) - BUCKETS:
        yield f"there is no bucket {bucket}"
    if "tagValues(" in script:
        for tag in set(re.findall(r'tag: "([^"]+)"', script)) - TAGS:
            yield f"there is no tag {tag}"
    asked = re.findall(r'r\._measurement == "([^"]+)"', script)
    fields = set(FIELDS_OF_EVERY_POINT)
    for measurement in asked:
        if measurement not in measurements():
            yield f"no stage emits {measurement}"
        fields |= measurements().get(measurement, set())
    for field in sorted(set(fields_of(script)) - fields):
        yield f"{' or '.join(asked) or 'a point'} has no field {field}"
    if "distance_m" in fields_of(script) and "fn: min" not in script:
        yield "a distance is summed up by its least value and nothing else"


def problems(path):
    """Each problem of a dashboard, as a line."""
    try:
        dashboard = json.loads(path.read_text())
    except ValueError as error:
        return [f"{relative(path)}: {error}"]
    found = [*flux_problems(dashboard), *own_rules(dashboard)]
    return [f"{relative(path)}: {problem}" for problem in found]

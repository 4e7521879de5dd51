"""What is wrong with Kubernetes manifests.

Judged by kustomize itself (does it build), by Kubernetes' own JSON schemas in their strict form, by
Strimzi's own classes, and by KEDA's schema as Python models. Then by rules of our own, which are no
schema: probes, limits, rights, references that lead somewhere, selectors that select something.
"""

import json
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from pydantic import ValidationError

from tools import HERE, TOOLS, is_pinned, program, relative, run

KUBERNETES = "1.33"
# What the person who installs it makes by hand (docs/lake-install.md).
GIVEN_SECRETS = {"retrotap-broker-client", "retrotap-influxdb"}
# The labels of the pods that Strimzi makes of `Kafka` and `KafkaNodePool`.
STRIMZI_PODS = [
    {"strimzi.io/cluster": "kafka", "strimzi.io/name": "kafka-kafka", "strimzi.io/kind": "Kafka"},
    {"strimzi.io/cluster": "kafka", "strimzi.io/name": "kafka-entity-operator"},
]
WORKLOADS = ("Deployment", "StatefulSet")


def build(overlay):
    """The documents that kustomize makes of a folder, or what it says is wrong."""
    said = run(program("kustomize"), "build", overlay)
    if said.returncode != 0:
        return None, said.stdout.strip()
    return list(yaml.safe_load_all(said.stdout)), None


def name(document):
    return f"{document['kind']} {document['metadata']['name']}"


def schema_problems(documents):
    """What the schemas of the kinds say."""
    strimzi = []
    for document in documents:
        group = document["apiVersion"].rpartition("/")[0]
        if group == "kafka.strimzi.io":
            strimzi.append(document)
        elif group == "keda.sh" and document["kind"] == "ScaledObject":
            try:
                ScaledObject.model_validate(document, extra="forbid")
            except ValidationError as error:
                for one in error.errors():
                    place = ".".join(str(step) for step in one["loc"])
                    yield f"{name(document)}: {place}: {one['msg']}"
        else:
            yield from core_problems(document)
    yield from strimzi_problems(strimzi)


def core_problems(document):
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(step) for step in error.path)
        yield f"{name(document)}: {place}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{name(document)}: {error.message}"


def strimzi_problems(documents):
    if not documents:
        return
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, document in enumerate(documents):
            files.append(Path(folder) / f"{number}.json")
            files[-1].write_text(json.dumps(document))
        said = run("java", "-cp", f"{TOOLS}/strimzi/*", HERE / "StrimziCheck.java", *files)
    yield from said.stdout.strip().splitlines()
    if said.returncode != 0:
        yield "Strimzi's classes couldn't be asked"


def own_rules(documents):
    """Rules of our own."""
    of_kind = lambda *kinds: [one for one in documents if one["kind"] in kinds]
    configs = {one["metadata"]["name"] for one in of_kind("ConfigMap")}
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in of_kind(*WORKLOADS)]
    if of_kind("Kafka"):
        pods += STRIMZI_PODS
    for workload in of_kind(*WORKLOADS):
        for problem in of_workload(workload, configs, of_kind("NetworkPolicy")):
            yield f"{name(workload)}: {problem}"
    for document in documents:
        for what, selector in selectors(document):
            if not any(matches(selector, labels) for labels in pods):
                yield f"{name(document)}: {what} selects no pod"
    denies = [
        one
        for one in of_kind("NetworkPolicy")
        if one["spec"]["podSelector"] == {} and not one["spec"].get("ingress") and not one["spec"].get("egress")
    ]
    if of_kind(*WORKLOADS) and not any(
        set(one["spec"].get("policyTypes", [])) == {"Ingress", "Egress"} for one in denies
    ):
        yield "no NetworkPolicy denies what isn't allowed"
    yield from of_kafka(of_kind)
    yield from of_scaling(of_kind)


def matches(selector, labels):
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def selectors(document):
    """What in a document selects pods of this namespace."""
    spec = document.get("spec", {})
    if document["kind"] == "Service":
        yield "its selector", {"matchLabels": spec["selector"]}
    elif document["kind"] == "PodDisruptionBudget":
        yield "its selector", spec["selector"]
    elif document["kind"] == "NetworkPolicy":
        yield "podSelector", spec["podSelector"]
        for rule in spec.get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield "a peer of egress", peer["podSelector"]
        for rule in spec.get("ingress", []):
            for peer in rule.get("from", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    yield "a peer of ingress", peer["podSelector"]


def of_workload(workload, configs, policies):
    template = workload["spec"]["template"]
    labels, spec = template["metadata"]["labels"], template["spec"]
    if not matches(workload["spec"]["selector"], labels):
        yield "its selector doesn't match its own pods"
    if not any(one["spec"]["podSelector"] and matches(one["spec"]["podSelector"], labels) for one in policies):
        yield "no NetworkPolicy is for it"
    if spec.get("automountServiceAccountToken") is not False:
        yield "it is handed a token of the API that it doesn't need"
    pod = spec.get("securityContext", {})
    if pod.get("runAsNonRoot") is not True or not pod.get("runAsUser"):
        yield "may run as root"
    if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "no seccomp profile"
    for volume in spec.get("volumes", []):
        secret = volume.get("secret", {}).get("secretName")
        if secret and secret not in GIVEN_SECRETS:
            yield f"secret {secret} is made by nobody"
    for container in spec["containers"]:
        yield from of_container(container, configs)


def of_container(container, configs):
    if not is_pinned(container["image"]):
        yield f"image {container['image']} names no version"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if probe not in container:
            yield f"no {probe}"
    for kind in ("requests", "limits"):
        for what in ("cpu", "memory"):
            if what not in container.get("resources", {}).get(kind, {}):
                yield f"no {kind} for {what}"
    rights = container.get("securityContext", {})
    if rights.get("allowPrivilegeEscalation") is not False:
        yield "may gain rights"
    if rights.get("readOnlyRootFilesystem") is not True:
        yield "its root can be written"
    if rights.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "keeps capabilities"
    for source in container.get("envFrom", []):
        config = source.get("configMapRef", {}).get("name")
        if config not in configs:
            yield f"ConfigMap {config} is made by nobody"


def of_kafka(of_kind):
    brokers = sum(
        pool["spec"]["replicas"] for pool in of_kind("KafkaNodePool") if "broker" in pool["spec"]["roles"]
    )
    for kafka in of_kind("Kafka"):
        config = kafka["spec"]["kafka"]["config"]
        if config.get("auto.create.topics.enable") is not False:
            yield f"{name(kafka)}: a wrong name makes a topic"
        for key in ("default.replication.factor", "offsets.topic.replication.factor"):
            yield from copies(name(kafka), config[key], config["min.insync.replicas"], brokers)
    for topic in of_kind("KafkaTopic"):
        spec = topic["spec"]
        least = spec["config"].get("min.insync.replicas", 1)
        yield from copies(name(topic), spec["replicas"], least, brokers)


def copies(who, replicas, least, brokers):
    if replicas > brokers:
        yield f"{who}: {replicas} copies on {brokers} brokers"
    if replicas >= 3 and least < 2:
        yield f"{who}: one broker alone may have what was said to be stored"
    if replicas > 1 and least >= replicas:
        yield f"{who}: no broker may be lost"


def of_scaling(of_kind):
    topics = {one["metadata"]["name"]: one["spec"]["partitions"] for one in of_kind("KafkaTopic")}
    targets = {one["metadata"]["name"]: one for one in of_kind("Deployment")}
    groups = {
        one["data"]["RETROTAP_LAKE_GROUP"]
        for one in of_kind("ConfigMap")
        if "RETROTAP_LAKE_GROUP" in one["data"]
    }
    for scaled in of_kind("ScaledObject"):
        spec = scaled["spec"]
        target = targets.get(spec["scaleTargetRef"]["name"])
        if target is None:
            yield f"{name(scaled)}: it scales nothing"
        elif "replicas" in target["spec"]:
            yield f"{name(scaled)}: the Deployment says how many, too"
        for trigger in spec["triggers"]:
            asked = trigger["metadata"]
            if spec["maxReplicaCount"] > topics.get(asked["topic"], 0):
                yield f"{name(scaled)}: more pods than {asked['topic']} has partitions"
            if asked["consumerGroup"] not in groups:
                yield f"{name(scaled)}: nobody reads as {asked['consumerGroup']}"


def problems(documents):
    """Each problem of some manifests, as a line; our own rules only look at what the schemas let pass."""
    return list(schema_problems(documents)) or list(own_rules(documents))


def overlay_problems(overlay):
    """Each problem of an overlay, as a line."""
    documents, error = build(overlay)
    found = [error] if error else problems(documents)
    return [f"{relative(overlay)}: {problem}" for problem in found]

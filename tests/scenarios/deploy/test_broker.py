"""A real mosquitto with docker/mosquitto.conf, docker/mosquitto.acl and docker/certificates.sh.

Only paths, port and user of the configuration are replaced: in the container it runs as `mosquitto` and
finds its files elsewhere.
"""

import json
import shutil
import signal
import socket
import subprocess
import time

import pytest
import yaml

from test_scripts import Certificates
from tools import ROOT, binary, run

OWN, OTHER = "plant/gateway-1", "aachen/cell-3"
SECONDS = 10


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Broker:
    """The broker, and who speaks with it."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.certificates = Certificates(folder / "certificates")
        assert self.certificates("first-start").returncode == 0
        assert self.certificates("gateway", *OTHER.split("/")).returncode == 0
        (folder / "data").mkdir()
        text = (ROOT / "docker/mosquitto.conf").read_text()
        for there, here in {
            "listener 8883\n": f"listener {self.port} 127.0.0.1\nuser root\n",
            "/certificates/": f"{folder}/certificates/",
            "/mosquitto/config/": f"{ROOT}/docker/",
            "/mosquitto/data/": f"{folder}/data/",
            "log_dest stdout": f"log_dest file {folder}/log",
        }.items():
            assert there in text, there
            text = text.replace(there, here)
        (folder / "mosquitto.conf").write_text(text)
        self.process = None
        self.start()

    def start(self):
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen([program, "-c", self.folder / "mosquitto.conf"])
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(SECONDS)

    def log(self):
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def who(self, name):
        """Options of mosquitto's clients for whoever has that certificate."""
        made = self.certificates.folder
        stem = {"lake": made / "lake/lake", "health": made / "broker/health"}.get(name, made / f"gateways/{name}/gateway")
        own = ["--cert", f"{stem}.pem", "--key", f"{stem}.key"] if name != "nobody" else []
        reach = ["-h", "localhost", "-p", str(self.port), "-V", "5", "-q", "1"]
        return [*reach, "--cafile", made / "broker/ca.pem", *own]

    def publish(self, name, topic, *options):
        return run("mosquitto_pub", *self.who(name), "-t", topic, "-m", "here", *options)

    def arrives(self, publisher, topic, reader="lake"):
        """Whether what that one publishes reaches that reader, who hears the topic alone."""
        out = self.folder / "heard"
        with out.open("w") as heard:
            # A line at a time, or the answer to the subscription stands in its buffer.
            command = ["stdbuf", "-oL", "mosquitto_sub", *self.who(reader), "-t", topic, "-C", "1", "-W", "3", "-d"]
            listening = subprocess.Popen(command, stdout=heard, stderr=subprocess.STDOUT)
            until = time.monotonic() + SECONDS
            while "SUBACK" not in out.read_text() and listening.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            said = self.publish(publisher, topic)
            # Nothing comes back from a publish that was refused: the shorter way to the answer.
            if "Not authorized" in said.stdout or "denied" in said.stdout.lower():
                time.sleep(0.2)
                listening.kill()
            listening.wait(SECONDS)
        return "\nhere" in out.read_text(), said.stdout


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    made = Broker(tmp_path_factory.mktemp("broker"))
    yield made
    made.process.kill()
    made.process.wait()


MACHINE = "robot-1"
UP = ("records", "frames", "inputs", "alarms", "status", "schema/arm-distance@1.0.0")


@pytest.mark.parametrize("last", UP)
def test_a_gateway_is_heard_under_its_own_name(broker, last):
    heard, said = broker.arrives(OWN, f"retrotap/1/{OWN}/{MACHINE}/{last}")
    assert heard, said


@pytest.mark.parametrize("last", ("status", "alarms"))
def test_a_gateway_speaks_of_itself(broker, last):
    heard, said = broker.arrives(OWN, f"retrotap/1/{OWN}/{last}")
    assert heard, said


@pytest.mark.parametrize(
    "topic",
    [
        f"retrotap/1/{OTHER}/{MACHINE}/records",
        f"retrotap/1/{OTHER}/{MACHINE}/status",
        f"retrotap/1/{OTHER}/status",
        f"retrotap/1/plant/gateway-2/{MACHINE}/records",
        f"retrotap/1/plant/{MACHINE}/records/records",
    ],
)
def test_a_gateway_is_refused_under_the_name_of_another(broker, topic):
    heard, said = broker.arrives(OWN, topic)
    assert not heard and "Not authorized" in said


def test_only_the_lake_says_taken(broker):
    topic = f"retrotap/1/{OWN}/{MACHINE}/taken"
    heard, said = broker.arrives(OWN, topic, reader=OWN)
    assert not heard and "Not authorized" in said
    heard, said = broker.arrives("lake", topic, reader=OWN)
    assert heard, said


def test_a_gateway_does_not_hear_what_was_taken_from_another(broker):
    heard, _ = broker.arrives("lake", f"retrotap/1/{OWN}/{MACHINE}/taken", reader=OTHER)
    assert not heard


def test_a_gateway_does_not_hear_records(broker):
    heard, _ = broker.arrives(OTHER, f"retrotap/1/{OTHER}/{MACHINE}/records", reader=OTHER)
    assert not heard


def test_the_lake_sends_no_records(broker):
    heard, said = broker.arrives("lake", f"retrotap/1/{OWN}/{MACHINE}/records")
    assert not heard and "Not authorized" in said


def test_several_programs_of_the_lake_share_what_comes(broker):
    topic = f"retrotap/1/{OWN}/{MACHINE}/records"
    shared = [
        subprocess.Popen(
            ["mosquitto_sub", *broker.who("lake"), "-t", "$share/ingest/retrotap/1/+/+/+/records", "-W", "3"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    time.sleep(0.7)
    for _ in range(6):
        assert broker.publish(OWN, topic).returncode == 0
    counts = [reader.communicate(timeout=SECONDS)[0].count("here") for reader in shared]
    assert sum(counts) == 6 and all(counts), counts


def test_without_a_certificate_nobody_gets_in(broker):
    said = broker.publish("nobody", f"retrotap/1/{OWN}/{MACHINE}/records")
    assert said.returncode != 0


def test_a_certificate_of_somebody_else_is_no_certificate(broker, tmp_path):
    other = Certificates(tmp_path / "certificates")
    assert other("first-start").returncode == 0
    stem = other.folder / "gateways" / OWN / "gateway"
    said = run("mosquitto_pub", *broker.who("nobody"), "--cert", f"{stem}.pem", "--key", f"{stem}.key", "-t", "x", "-m", "x")
    assert said.returncode != 0


def test_the_brokers_certificate_is_made_out_for_its_name(broker):
    wrong = ["127.0.0.2" if word == "localhost" else word for word in broker.who(OWN)]
    said = run("mosquitto_pub", *wrong, "-t", f"retrotap/1/{OWN}/status", "-m", "here")
    assert said.returncode != 0


def test_the_health_check_of_the_compose_file_works(broker):
    service = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]["mosquitto"]
    _, *command = service["healthcheck"]["test"]
    here = [
        word.replace("$$", "$")
        .replace("8883", str(broker.port))
        .replace("/certificates/", f"{broker.certificates.folder}/")
        for word in command
    ]
    assert run(*here).returncode == 0
    stopped = [word.replace(str(broker.port), str(free_port())) for word in here]
    assert run(*stopped).returncode != 0


def test_what_is_retained_outlives_a_restart(broker):
    topic = f"retrotap/1/{OWN}/status"
    assert broker.publish(OWN, topic, "-r").returncode == 0
    broker.stop()
    broker.start()
    said = run("mosquitto_sub", *broker.who("lake"), "-t", topic, "-C", "1", "-W", "3")
    assert said.stdout.strip() == "here", broker.log()


def test_a_real_gateway_is_allowed_all_that_it_does(broker, tmp_path):
    """`retrotap run` with the certificates that it is handed, and the records of a simulated robot."""
    robot = tmp_path / "robot"
    simulator = subprocess.Popen(
        [binary("retrotap"), "simulate", "--adapter", "kuka-krc2", "--port", f"pty:{robot}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    handed = broker.certificates.folder / "gateways" / OWN
    settings = {
        "site": "plant",
        "gateway": "gateway-1",
        "allow_unsigned": True,
        "machines": [{"id": MACHINE, "adapter": "kuka-krc2", "port": str(robot)}],
        "uplink": {
            "mqtt": {
                "url": f"mqtts://localhost:{broker.port}",
                "ca": str(handed / "ca.pem"),
                "client_cert": str(handed / "gateway.pem"),
                "client_key": str(handed / "gateway.key"),
            },
            # Nobody here says `taken`.
            "release_on": "broker",
        },
    }
    if needs_a_spool():
        settings["spool"] = {"path": str(tmp_path / "spool"), "max_bytes": "64MiB"}
        (tmp_path / "spool").mkdir()
    (tmp_path / "retrotap.yaml").write_text(yaml.safe_dump(settings))
    refused_before = broker.log().count("Denied")
    gateway = subprocess.Popen(
        [binary("retrotap"), "run", tmp_path / "retrotap.yaml"],
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "said").open("w"),
    )
    try:
        for last in ("records", "frames", "schema/+"):
            topic = f"retrotap/1/{OWN}/{MACHINE}/{last}"
            said = run("mosquitto_sub", *broker.who("lake"), "-t", topic, "-C", "1", "-W", str(SECONDS))
            assert said.returncode == 0, f"{last}: {(tmp_path / 'said').read_text()}"
            assert json.loads(said.stdout)
    finally:
        for process in (gateway, simulator):
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)
    assert broker.log().count("Denied") == refused_before, broker.log()
    said = run("mosquitto_sub", *broker.who("lake"), "-t", f"retrotap/1/{OWN}/status", "-C", "1", "-W", "3")
    assert json.loads(said.stdout)["state"] == "offline"


def needs_a_spool():
    """Whether this version keeps its spool in a folder."""
    return "spool.path" in (ROOT / "docs/settings.md").read_text()


def test_a_revoked_certificate_is_refused_and_others_are_not(broker):
    own, other = f"retrotap/1/{OWN}/status", f"retrotap/1/{OTHER}/status"
    # Made again before: the key of the first is out there all the same.
    stem = broker.certificates.folder / "gateways" / OTHER
    first = broker.folder / "first"
    shutil.copytree(stem, first)
    (stem / "gateway.pem").unlink()
    assert broker.certificates("gateway", *OTHER.split("/")).returncode == 0
    assert broker.publish(OTHER, other).returncode == 0
    said = broker.certificates("revoke", *OTHER.split("/"))
    assert said.returncode == 0, said.stdout
    broker.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert broker.publish(OTHER, other).returncode != 0
    renewed = [first / "gateway.pem" if str(word).endswith("gateway.pem") else word for word in broker.who(OTHER)]
    renewed = [first / "gateway.key" if str(word).endswith("gateway.key") else word for word in renewed]
    assert run("mosquitto_pub", *renewed, "-t", other, "-m", "here").returncode != 0
    assert broker.publish(OWN, own).returncode == 0

"""The scripts that the images carry: health, secrets, certificates."""

import http.server
import os
import stat
import threading

import pytest

from tools import ROOT, run

DOCKER = ROOT / "docker"


class Answers(http.server.BaseHTTPRequestHandler):
    """200 where the path says well, 503 elsewhere."""

    def do_GET(self):
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def port():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_healthy_means_answered_with_200(port):
    assert run(DOCKER / "healthy.sh", port, "/well").returncode == 0
    assert run(DOCKER / "healthy.sh", port, "/ill").returncode != 0


def test_nobody_there_is_not_healthy(port):
    # The discard port: nobody listens on it.
    assert run(DOCKER / "healthy.sh", 9, "/well").returncode != 0


@pytest.fixture
def secrets(tmp_path):
    environment = {**os.environ, "SECRETS": str(tmp_path / "secrets")}
    environment |= {"INFLUXDB_USER": "", "GRAFANA_USER": "", "LAKE_USER": ""}
    return lambda: run("sh", DOCKER / "secrets.sh", env=environment), tmp_path / "secrets"


def test_secrets_are_made_once_and_only_their_reader_reads_them(secrets):
    make, folder = secrets
    assert make().returncode == 0
    names = ("influxdb/admin-password", "influxdb/admin-token", "grafana/admin-password", "sink/token")
    before = {name: (folder / name).read_text() for name in names}
    assert len(set(before.values())) == 3, "the sink has InfluxDB's token, the rest differ"
    assert before["sink/token"] == before["influxdb/admin-token"]
    for name, secret in before.items():
        assert len(secret) >= 24 and secret.isalnum()
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    said = make()
    assert {name: (folder / name).read_text() for name in names} == before
    assert not any(secret in said.stdout for secret in before.values()), "none is printed"


@pytest.fixture
def grafana_token(tmp_path):
    """docker/influxdb-tokens.sh with a stand-in for `influx`, which gives that answer."""

    def start(answer):
        influx = tmp_path / "influx"
        influx.write_text(f"#!/bin/sh\necho \"$@\" >{tmp_path}/asked\ncat <<'END'\n{answer}\nEND\n")
        influx.chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        environment |= {"GRAFANA_TOKEN": str(tmp_path / "token"), "DOCKER_INFLUXDB_INIT_ORG": "retrotap"}
        return run(DOCKER / "influxdb-tokens.sh", env=environment)

    return start, tmp_path


def test_grafana_is_given_a_token_that_can_only_read(grafana_token):
    start, folder = grafana_token
    said = start('{\n\t"id": "0a1b",\n\t"description": "Grafana reads",\n\t"token": "abc-_=1",\n\t"status": "active"\n}')
    assert said.returncode == 0, said.stdout
    assert (folder / "token").read_text() == "abc-_=1"
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o640
    asked = (folder / "asked").read_text()
    assert "--read-buckets" in asked and "write" not in asked and "all-access" not in asked


def test_no_token_stops_the_first_start(grafana_token):
    start, folder = grafana_token
    assert start('{"code": "unauthorized"}').returncode != 0
    assert not (folder / "token").exists()


class Certificates:
    """docker/certificates.sh with a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *words, **environment):
        kept = {**os.environ, "CERTIFICATES": str(self.folder), "BROKER_USER": "", "LAKE_USER": ""}
        return run("sh", DOCKER / "certificates.sh", *words, env={**kept, **environment})

    def text(self, name):
        return run("openssl", "x509", "-in", self.folder / name, "-noout", "-text").stdout

    def all(self):
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.suffix in (".pem", ".key")}


@pytest.fixture
def certificates(tmp_path):
    made = Certificates(tmp_path / "certificates")
    said = made("first-start", LAKE_HOST="lake.plant.example")
    assert said.returncode == 0, said.stdout
    return made


def test_a_second_start_keeps_every_certificate(certificates):
    before = certificates.all()
    said = certificates("first-start", LAKE_HOST="lake.plant.example")
    assert said.returncode == 0 and certificates.all() == before
    assert f"{certificates.folder}/gateways/plant/gateway-1" in said.stdout, "it says where the gateway's are"


def test_keys_are_readable_by_their_owner_alone(certificates):
    for path in certificates.folder.rglob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_names_are_what_clients_and_rights_go_by(certificates):
    broker = certificates.text("broker/broker.pem")
    assert "DNS:mosquitto, DNS:localhost, DNS:lake.plant.example" in broker
    assert "TLS Web Server Authentication" in broker and "TLS Web Client Authentication" not in broker
    gateway = certificates.text("gateways/plant/gateway-1/gateway.pem")
    assert "Subject: CN = plant/gateway-1" in gateway and "TLS Web Client Authentication" in gateway
    assert "CA:FALSE" in gateway, "a gateway can't sign others"


def test_another_name_of_this_machine_makes_another_certificate_of_the_broker_alone(certificates):
    before = certificates.all()
    assert certificates("first-start", LAKE_HOST="10.20.30.40").returncode == 0
    after = certificates.all()
    changed = {path.name for path in before if after[path] != before[path]}
    assert changed == {"broker.pem", "broker.key"}
    assert "IP Address:10.20.30.40" in certificates.text("broker/broker.pem")


def test_a_start_that_was_cut_in_between_is_finished_by_the_next(certificates):
    gateway = certificates.folder / "gateways/plant/gateway-1"
    lake = certificates.folder / "lake"
    # A new key is there, and its certificate not yet; and no certificate at all.
    (gateway / "gateway.key").write_bytes((lake / "lake.key").read_bytes())
    (lake / "lake.pem").unlink()
    assert certificates("first-start").returncode == 0
    for stem in (gateway / "gateway", lake / "lake"):
        public = run("openssl", "x509", "-in", f"{stem}.pem", "-noout", "-pubkey").stdout
        assert public == run("openssl", "pkey", "-in", f"{stem}.key", "-pubout").stdout


def test_a_certificate_that_ends_soon_is_made_again(certificates):
    folder = certificates.folder / "gateways/plant/gateway-1"
    authority = certificates.folder / "authority"
    request = ("openssl", "req", "-new", "-key", folder / "gateway.key", "-subj", r"/CN=plant\/gateway-1")
    run(*request, "-out", folder / "request")
    ca = ("-CA", authority / "ca.pem", "-CAkey", authority / "ca.key", "-CAcreateserial")
    signed = ("openssl", "x509", "-req", "-in", folder / "request", *ca, "-days", "59")
    assert run(*signed, "-out", folder / "gateway.pem").returncode == 0
    short = (folder / "gateway.pem").read_bytes()
    assert certificates("first-start").returncode == 0
    assert (folder / "gateway.pem").read_bytes() != short


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gateway", "a/b", "c"), "site `a/b`"),
        (("gateway", "aachen", "+"), "gateway `+`"),
        (("gateway", "..", "c"), "site `..`"),
        (("gateway", "aachen", ""), "gateway ``"),
        (("gateway", "aachen"), "SITE GATEWAY"),
        (("gateway", "a" * 40, "b" * 40), "no certificate for"),
        (("revoke", "aachen", "nobody"), "there is no certificate for aachen/nobody"),
        (("renew",), "say one of"),
        ((), "say one of"),
    ],
)
def test_what_makes_no_sense_is_refused(certificates, words, said):
    refused = certificates(*words)
    assert refused.returncode != 0 and said in refused.stdout


def test_a_name_of_this_machine_can_not_smuggle_settings_in(certificates):
    refused = certificates("first-start", LAKE_HOST="a\n[client]")
    assert refused.returncode != 0 and "LAKE_HOST" in refused.stdout


def test_a_lost_authority_is_not_replaced_behind_the_gateways_backs(certificates):
    (certificates.folder / "authority/ca.pem").unlink()
    refused = certificates("first-start")
    assert refused.returncode != 0 and "bring it back from the backup" in refused.stdout

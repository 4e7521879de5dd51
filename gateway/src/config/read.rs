//! From the tree of the YAML to [`Settings`]: what may stand where.
//!
//! Every function reads all of its parts before any of them may fail, so that all mistakes are
//! found.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use retrotap_adapters::schema::ParamValue;
use retrotap_adapters::yaml::{Node, Quantity, did_you_mean};

use super::broker::{BrokerUrl, ClientFiles, ReleaseOn, TlsFiles};
use super::limits::{
    MACHINES_MAX, NAME_BYTES_MAX, SPOOL_AGE_MAX, SPOOL_AGE_MIN, SPOOL_BYTES_MAX, SPOOL_BYTES_MIN,
    SYNC_EVERY_MAX, SYNC_EVERY_MIN, TRUSTED_KEYS_MAX,
};
use super::read_cell::{self, Machines};
use super::{Machine, Modules, Mqtt, ServerFiles, Settings, Spool, Surroundings, Web};
use crate::modules::signature::{PublicKey, Trust, TrustedKey};
use crate::time::parse_utc;

/// A key is trusted until the end of its last day, in UTC.
const DAY_NS: i64 = 86_400_000_000_000;

const KEYS: &[&str] = &[
    "site",
    "gateway",
    "machines",
    "cells",
    "uplink",
    "web",
    "spool",
    "adapters_dir",
    "stages_dir",
    "modules",
    "allow_unsigned",
];

pub(super) fn settings(
    root: Node<'_>,
    folder: &Path,
    surroundings: &Surroundings<'_>,
) -> Option<Settings> {
    let map = root.map(KEYS)?;
    let site = map.required("site", name);
    let gateway = map.required("gateway", name);
    let adapters_dir = map.optional("adapters_dir", |node| existing_dir(node, folder));
    let stages_dir = map.optional("stages_dir", |node| existing_dir(node, folder));
    let user_adapters = adapters_dir.clone().flatten();
    let adapters = (surroundings.adapter_names)(user_adapters.as_deref());
    let machines = map.required("machines", |node| machines(node, &adapters));
    let known = map.get("machines").map(machine_ids).unwrap_or_default();
    let cells = map.optional("cells", |node| {
        node.distinct(|cell| cell.peek("id")?.scalar());
        node.list(1..=MACHINES_MAX, |cell| {
            read_cell::cell(cell, folder, &known)
        })
    });
    let uplink = map.optional("uplink", |node| uplink(node, folder, surroundings));
    let web = map.optional("web", |node| web(node, folder, surroundings));
    let spool = map.required("spool", |node| spool(node, folder));
    let modules = map.optional("modules", |node| modules(node, folder));
    let unsigned = map.required("allow_unsigned", Node::boolean);

    let (site, gateway) = (site?, gateway?);
    let (machines, cells) = (machines?, cells?);
    let (adapters_dir, stages_dir) = (adapters_dir?, stages_dir?);
    let (uplink, web, spool) = (uplink?, web?, spool?);
    let modules = modules?.unwrap_or_default().beside(&spool, unsigned?);
    let uplink = uplink.map(|uplink| uplink.named(&site, &gateway));
    Some(Settings {
        site,
        gateway,
        machines,
        cells: cells.unwrap_or_default(),
        uplink,
        web: web.map(|page| page.beside(&spool)),
        spool,
        modules,
        adapters_dir,
        stages_dir,
    })
}

/// A name that becomes a level of a topic: none of MQTT's `/ + #`, no space, no control character.
pub(super) fn name(node: Node<'_>) -> Option<Arc<str>> {
    let is_allowed = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let expected = "a name of letters, digits, -, _ and ., at most 64";
    node.name(NAME_BYTES_MAX, expected, is_allowed)
        .map(Arc::from)
}

fn machine_ids(node: Node<'_>) -> Machines<'_> {
    let known = std::cell::RefCell::new(Machines::default());
    node.distinct(|machine| {
        known.borrow_mut().add(
            machine.peek("id").and_then(|id| id.scalar())?,
            machine.peek("ports").is_some(),
        );
        None
    });
    known.into_inner()
}

fn machines(node: Node<'_>, adapters: &[String]) -> Option<Vec<Machine>> {
    node.distinct(|machine| machine.peek("id")?.scalar());
    let seen = std::cell::RefCell::new(BTreeMap::new());
    node.list(1..=MACHINES_MAX, |node| machine(node, adapters, &seen))
}

/// Ports and the machine and line that has each.
type Ports = std::cell::RefCell<BTreeMap<String, usize>>;

fn machine(node: Node<'_>, adapters: &[String], seen: &Ports) -> Option<Machine> {
    let map = node.map(&["id", "adapter", "port", "ports", "params", "frames"])?;
    let id = map.required("id", name);
    let adapter = map.required("adapter", |node| {
        let text = node.text()?;
        if adapters.iter().any(|known| known == text) {
            return Some(text.to_owned());
        }
        let known = || adapters.iter().map(String::as_str);
        node.problem(format!("there is no adapter `{text}`"))
            .expected(format!("one of {}", adapters.join(", ")))
            .suggest(did_you_mean(text, known()).map(|meant| format!("did you mean `{meant}`?")));
        None
    });
    let ports = match (map.get("port"), map.get("ports")) {
        (_, None) => map.required("port", |node| Some(vec![port(node, seen)?])),
        (None, Some(node)) => node.list(2..=2, |node| port(node, seen)),
        (Some(_), Some(node)) => {
            node.problem("there is a `port` too")
                .expected("`port`, or `ports` with two where a dialogue is listened to");
            None
        }
    };
    let params = map.optional("params", |node| {
        let stages: Vec<_> = node
            .entries()?
            .map(|(stage, node)| {
                let params: Vec<_> = node
                    .entries()?
                    .map(|(name, node)| Some((name.to_owned(), param(node)?)))
                    .collect();
                Some((
                    stage.to_owned(),
                    params.into_iter().collect::<Option<BTreeMap<_, _>>>()?,
                ))
            })
            .collect();
        stages.into_iter().collect::<Option<BTreeMap<_, _>>>()
    });
    let frames = map.optional("frames", Node::boolean);
    Some(Machine {
        id: id?,
        adapter: adapter?,
        ports: ports?,
        params: params?.unwrap_or_default(),
        frames: frames?.unwrap_or(true),
    })
}

fn port(node: Node<'_>, seen: &Ports) -> Option<String> {
    let text = node.text()?;
    let is_server = text.strip_prefix("tcp://").is_some_and(|rest| {
        rest.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    });
    if !is_server && !text.starts_with('/') {
        node.problem(format!("`{text}` is no port"))
            .expected("the path of a serial device, or tcp://HOST:PORT of a serial server")
            .suggest(
                text.starts_with("tty")
                    .then(|| format!("did you mean `/dev/{text}`?")),
            );
        return None;
    }
    let known = seen.borrow().get(text).copied();
    if let Some(line) = known {
        node.problem(format!("port {text} is in use already; on line {line}"))
            .expected("a port of its own for each machine");
        return None;
    }
    seen.borrow_mut().insert(text.to_owned(), node.line());
    Some(text.to_owned())
}

/// A number with or without a unit, or a choice; the stage's manifest says which is right.
fn param(node: Node<'_>) -> Option<ParamValue> {
    let text = node.text()?;
    Some(match Quantity::parse(text) {
        Some(Quantity { value, unit }) => ParamValue::Number {
            value,
            unit: (!unit.is_empty()).then(|| unit.to_owned()),
        },
        None => ParamValue::Choice(text.to_owned()),
    })
}

/// The uplink before the gateway's names are known.
struct Uplink {
    url: BrokerUrl,
    tls: Option<TlsFiles>,
    client_id: Option<Arc<str>>,
    release_on: ReleaseOn,
}

impl Uplink {
    fn named(self, site: &str, gateway: &str) -> Mqtt {
        let client_id = self.client_id.map_or_else(
            || format!("retrotap-{site}-{gateway}"),
            |id| id.as_ref().to_owned(),
        );
        Mqtt {
            url: self.url,
            tls: self.tls,
            client_id,
            release_on: self.release_on,
        }
    }
}

fn uplink(node: Node<'_>, folder: &Path, surroundings: &Surroundings<'_>) -> Option<Uplink> {
    let map = node.map(&["mqtt", "release_on"])?;
    let mqtt = map.required("mqtt", |node| mqtt(node, folder, surroundings));
    let release_on = map.required("release_on", |node| {
        node.choice(&[("broker", ReleaseOn::Broker), ("lake", ReleaseOn::Lake)])
    });
    let (url, tls, client_id) = mqtt?;
    Some(Uplink {
        url,
        tls,
        client_id,
        release_on: release_on?,
    })
}

/// The broker, our certificates, and our name if one is given.
type Broker = (BrokerUrl, Option<TlsFiles>, Option<Arc<str>>);

fn mqtt(node: Node<'_>, folder: &Path, surroundings: &Surroundings<'_>) -> Option<Broker> {
    let map = node.map(&[
        "url",
        "plain",
        "ca",
        "client_cert",
        "client_key",
        "client_id",
    ])?;
    let url = map.required("url", |node| {
        let text = node.text()?;
        BrokerUrl::parse(text)
            .map_err(|reason| {
                node.problem(format!("`{text}`: {reason}"))
                    .expected("a URL such as mqtts://broker.plant.example:8883");
            })
            .ok()
    });
    let plain = map.optional("plain", |node| node.choice(&[("allowed", ())]));
    let ca = map.optional("ca", |node| existing_file(node, folder));
    let cert = map.optional("client_cert", |node| existing_file(node, folder));
    let key = map.optional("client_key", |node| secret_file(node, folder, surroundings));
    let client_id = map.optional("client_id", name);

    let url = url?;
    let mut whole = true;
    if !url.tls && !url.is_loopback() && map.get("plain").is_none() {
        node.problem(format!(
            "{url} sends everything readable for anyone on the way"
        ))
        .expected("mqtts:// with a ca, or `plain: allowed` if that is meant");
        whole = false;
    }
    for key in ["ca", "client_cert", "client_key"] {
        if let (false, Some(node)) = (url.tls, map.get(key)) {
            node.problem(format!("{url} has no TLS, so this would not be used"))
                .expected("mqtts:// in uplink.mqtt.url, or no certificates");
            whole = false;
        }
    }
    if url.tls && map.get("ca").is_none() {
        node.problem("`ca` is missing")
            .expected("the PEM file with the CA that signed the broker's certificate");
        whole = false;
    }
    for (one, other) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
        if let (Some(node), None) = (map.get(one), map.get(other)) {
            node.problem(format!("`{one}` is of no use without `{other}`"))
                .expected("both");
            whole = false;
        }
    }
    let (ca, cert, key, client_id) = (ca?, cert?, key?, client_id?);
    plain?;
    let client = cert.zip(key).map(|(cert, key)| ClientFiles { cert, key });
    let tls = ca.map(|ca| TlsFiles { ca, client });
    whole.then_some((url, tls, client_id))
}

fn spool(node: Node<'_>, folder: &Path) -> Option<Spool> {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let duration = |node: Node<'_>, least, most| {
        let found_ns = node.duration_ns(ns(least)..=ns(most))?;
        Some(Duration::from_nanos(found_ns))
    };
    let map = node.map(&["path", "max_bytes", "max_age", "sync_every"])?;
    let path = map.required("path", |node| own_dir(node, folder));
    let max_bytes = map.optional("max_bytes", |node| {
        node.size_bytes(SPOOL_BYTES_MIN..=SPOOL_BYTES_MAX)
    });
    let max_age = map.optional("max_age", |node| {
        duration(node, SPOOL_AGE_MIN, SPOOL_AGE_MAX)
    });
    let sync_every = map.optional("sync_every", |node| {
        duration(node, SYNC_EVERY_MIN, SYNC_EVERY_MAX)
    });
    let defaults = Spool::at(path?);
    Some(Spool {
        max_bytes: max_bytes?.unwrap_or(defaults.max_bytes),
        max_age: max_age?,
        sync_every: sync_every?.unwrap_or(defaults.sync_every),
        path: defaults.path,
    })
}

/// The page before it is known where the spool is.
struct Page {
    listen: SocketAddr,
    tls: Option<ServerFiles>,
    state_dir: Option<PathBuf>,
}

impl Page {
    /// Beside the spool's folder, unless said.
    fn beside(self, spool: &Spool) -> Web {
        let beside = || spool.path.parent().unwrap_or(Path::new(".")).join("web");
        Web {
            listen: self.listen,
            tls: self.tls,
            state_dir: self.state_dir.unwrap_or_else(beside),
        }
    }
}

fn web(node: Node<'_>, folder: &Path, surroundings: &Surroundings<'_>) -> Option<Page> {
    let map = node.map(&["listen", "tls", "state_dir"])?;
    let listen = map.required("listen", |node| {
        let text = node.text()?;
        let address = text.parse::<SocketAddr>();
        if address.is_err() {
            node.problem(format!("`{text}` is no address"))
                .expected("ADDRESS:PORT, such as 127.0.0.1:8080 or 0.0.0.0:8443");
        }
        address.ok()
    });
    let tls = map.optional("tls", |node| {
        let map = node.map(&["cert", "key"])?;
        let cert = map.required("cert", |node| existing_file(node, folder));
        let key = map.required("key", |node| secret_file(node, folder, surroundings));
        Some(ServerFiles {
            cert: cert?,
            key: key?,
        })
    });
    let state_dir = map.optional("state_dir", |node| own_dir(node, folder));
    Some(Page {
        listen: listen?,
        tls: tls?,
        state_dir: state_dir?,
    })
}

/// Modules that change, before it is known where the spool is.
#[derive(Default)]
struct Changing {
    path: Option<PathBuf>,
    folder: Option<PathBuf>,
    mqtt: bool,
    keys: Vec<TrustedKey>,
}

impl Changing {
    /// Beside the spool's folder, unless said.
    fn beside(self, spool: &Spool, allow_unsigned: bool) -> Modules {
        let beside = || {
            spool
                .path
                .parent()
                .unwrap_or(Path::new("."))
                .join("modules")
        };
        Modules {
            path: self.path.unwrap_or_else(beside),
            folder: self.folder,
            mqtt: self.mqtt,
            trust: Trust {
                keys: self.keys,
                allow_unsigned,
            },
        }
    }
}

fn modules(node: Node<'_>, folder: &Path) -> Option<Changing> {
    let map = node.map(&["path", "folder", "mqtt", "trusted_keys"])?;
    let path = map.optional("path", |node| own_dir(node, folder));
    let drop = map.optional("folder", |node| existing_dir(node, folder));
    let mqtt = map.optional("mqtt", Node::boolean);
    let keys = map.optional("trusted_keys", |node| {
        node.distinct(|key| key.peek("name")?.scalar());
        node.list(1..=TRUSTED_KEYS_MAX, |key| trusted_key(key, folder))
    });
    Some(Changing {
        path: path?,
        folder: drop?,
        mqtt: mqtt?.unwrap_or(false),
        keys: keys?.unwrap_or_default(),
    })
}

fn trusted_key(node: Node<'_>, folder: &Path) -> Option<TrustedKey> {
    let map = node.map(&["name", "key", "expires"])?;
    let name = map.required("name", name);
    let key = map.required("key", |node| {
        let path = existing_file(node, folder)?;
        let pem = super::text_of(&path).map_err(|error| error.to_string());
        pem.and_then(|pem| PublicKey::from_pem(&pem).map_err(|error| error.to_string()))
            .map_err(|why| {
                node.problem(format!("{}: {why}", path.display()))
                    .expected("the file NAME.pub of `retrotap keygen NAME`");
            })
            .ok()
    });
    let expires_unix_ns = map.required("expires", |node| {
        let text = node.text()?;
        if text == "never" {
            return Some(None);
        }
        let is_day = text.len() == "2027-12-31".len();
        let midnight = parse_utc(text).filter(|_| is_day);
        if midnight.is_none() {
            node.problem(format!("`{text}` is no day"))
                .expected("the last day on which it is trusted, such as 2027-12-31, or `never`");
        }
        Some(Some(midnight?.saturating_add(DAY_NS)))
    });
    Some(TrustedKey {
        name: name?.as_ref().to_owned(),
        key: key?,
        expires_unix_ns: expires_unix_ns?,
    })
}

/// A folder of this gateway's own, which need not be there yet.
fn own_dir(node: Node<'_>, folder: &Path) -> Option<PathBuf> {
    let path = folder.join(node.text()?);
    if path.exists() && !path.is_dir() {
        node.problem(format!("{} is no folder", path.display()))
            .expected("a folder of this gateway's own; it is made if it isn't there");
        return None;
    }
    Some(path)
}

pub(super) fn existing_file(node: Node<'_>, folder: &Path) -> Option<PathBuf> {
    existing(node, folder.join(node.text()?), "file", Path::is_file)
}

fn existing_dir(node: Node<'_>, folder: &Path) -> Option<PathBuf> {
    existing(node, folder.join(node.text()?), "folder", Path::is_dir)
}

/// A file, or `credential:<name>`, which systemd hands over.
fn secret_file(node: Node<'_>, folder: &Path, surroundings: &Surroundings<'_>) -> Option<PathBuf> {
    let Some(name) = node.text()?.strip_prefix("credential:") else {
        return existing_file(node, folder);
    };
    let Some(dir) = &surroundings.credentials_dir else {
        node.problem("$CREDENTIALS_DIRECTORY is not set")
            .expected("a start by systemd with LoadCredential=, or the path of a file");
        return None;
    };
    if name.is_empty() || name.contains('/') {
        node.problem(format!("`{name}` is no credential's name"))
            .expected("the name given to LoadCredential=");
        return None;
    }
    existing(node, dir.join(name), "credential", Path::is_file)
}

fn existing(
    node: Node<'_>,
    path: PathBuf,
    what: &str,
    is_there: fn(&Path) -> bool,
) -> Option<PathBuf> {
    if is_there(&path) {
        return Some(path);
    }
    node.problem(format!("there is no {what} {}", path.display()))
        .expected(format!(
            "the path of a {what} that is there and may be read"
        ));
    None
}

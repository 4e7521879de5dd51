//! Why a connection didn't come about or ended, in words for the person who has to mend it.
//!
//! Two classes, by who acts: what passes by itself is tried again soon, what only a person mends
//! is tried again slowly, and shown as refused.

use std::error::Error;
use std::path::Path;

use rumqttc::{ConnectReturnCode, ConnectionError, DisconnectReasonCode, PubAckReason, StateError};
use rustls::{AlertDescription, CertificateError};

use super::{BrokerUrl, Settings, TlsFiles};

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Try again: the network, or a broker that is busy.
    Later,
    /// A person has to change something.
    Person,
    /// A message was larger than the broker takes.
    TooLarge,
}

/// A reason with its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What to do about it.
    pub class: Class,
    /// In words, for the person who has to mend it.
    pub message: String,
}

impl Refusal {
    /// It passes by itself.
    pub fn later(message: impl Into<String>) -> Self {
        Self {
            class: Class::Later,
            message: message.into(),
        }
    }

    /// A person has to change something.
    pub fn person(message: impl Into<String>) -> Self {
        Self {
            class: Class::Person,
            message: message.into(),
        }
    }
}

/// Who talks to whom, and under which names a person finds that in the settings.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// The broker.
    pub url: &'a BrokerUrl,
    /// Certificates; there exactly when `url.tls`.
    pub tls: Option<&'a TlsFiles>,
    /// As whom the broker knows us.
    pub client_id: &'a str,
    /// What the settings are called.
    pub keys: &'a Keys,
}

/// What settings are called where they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// Where the broker is.
    pub url: &'static str,
    /// The file of CAs.
    pub ca: &'static str,
    /// Our certificate, then its key.
    pub client: &'static str,
    /// As whom the broker knows us.
    pub client_id: &'static str,
}

/// The keys of the gateway's settings.
const GATEWAY_KEYS: Keys = Keys {
    url: "uplink.mqtt.url",
    ca: "uplink.mqtt.ca",
    client: "uplink.mqtt.client_cert and client_key",
    client_id: "uplink.mqtt.client_id",
};

impl<'a> From<&'a Settings> for Peer<'a> {
    fn from(settings: &'a Settings) -> Self {
        Self {
            url: &settings.url,
            tls: settings.tls.as_ref(),
            client_id: &settings.client_id,
            keys: &GATEWAY_KEYS,
        }
    }
}

/// What the broker's answer to a publish means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has it.
    Taken,
    /// It may take it another time.
    Later,
    /// It won't, until a person changes a permission.
    NotAllowed,
    /// It never will: this payload is wrong to it.
    Never,
}

/// MQTT 5, table 3-4 "PUBACK Reason Codes".
pub(super) fn answer(reason: PubAckReason) -> Answer {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Answer::Taken,
        PubAckReason::NotAuthorized | PubAckReason::TopicNameInvalid => Answer::NotAllowed,
        PubAckReason::PayloadFormatInvalid => Answer::Never,
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse
        | PubAckReason::QuotaExceeded => Answer::Later,
    }
}

/// Reason code 0x95, "Packet too large". It isn't among those of a PUBACK, but mosquitto answers
/// with it to a publish above its `message_size_limit`. rumqttc then can't read the PUBACK, and calls
/// the code one of a CONNACK.
const PACKET_TOO_LARGE: u8 = 0x95;

/// Explains why a connection failed.
pub fn explain<'a>(error: &ConnectionError, peer: impl Into<Peer<'a>>) -> Refusal {
    let peer = &peer.into();
    let broker = peer.url;
    let innermost: &(dyn Error + 'static) = match error {
        // rumqttc doesn't name this one's source as such.
        ConnectionError::MqttState(StateError::Deserialization(source)) => source,
        other => other,
    };
    if let Some(tls) = find(innermost, |error| error.downcast_ref()) {
        return explain_tls(tls, peer);
    }
    match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            explain_connack(*code, peer)
        }
        ConnectionError::MqttState(
            StateError::Deserialization(
                rumqttc::Error::InvalidReason(PACKET_TOO_LARGE)
                | rumqttc::Error::InvalidConnectReturnCode(PACKET_TOO_LARGE),
            )
            | StateError::OutgoingPacketTooLarge { .. }
            | StateError::ServerDisconnect {
                reason_code: DisconnectReasonCode::PacketTooLarge,
                ..
            },
        ) => Refusal {
            class: Class::TooLarge,
            message: format!("{broker} doesn't take messages of that size; sending smaller ones"),
        },
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => explain_disconnect(*reason_code, reason_string.as_deref(), peer),
        ConnectionError::Timeout(_) => Refusal::later(format!(
            "{broker} doesn't answer within {} s: is the port right, and does a firewall let it \
             through?",
            crate::config::limits::CONNECT_TIMEOUT.as_secs()
        )),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Refusal::later(format!("{broker} has stopped answering"))
        }
        ConnectionError::Io(source) => explain_io(source, peer),
        ConnectionError::MqttState(StateError::Io(source)) => explain_io(source, peer),
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(peer),
        other => match find(innermost, |error| error.downcast_ref()) {
            Some(source) => explain_io(source, peer),
            None => Refusal::later(format!("{broker}: {other}")),
        },
    }
}

fn explain_io(error: &std::io::Error, peer: &Peer<'_>) -> Refusal {
    use std::io::ErrorKind;
    let broker = peer.url;
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Refusal::later(format!("nothing listens at {broker}: does the broker run?"))
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => closed(peer),
        _ if error.to_string().contains("lookup") => Refusal::later(format!(
            "the name {} can't be resolved ({error}): is it spelled right, and does DNS work?",
            broker.host
        )),
        _ => Refusal::later(format!("{broker}: {error}")),
    }
}

fn closed(peer: &Peer<'_>) -> Refusal {
    let broker = peer.url;
    let hint = match peer.tls {
        None => format!(
            "; if it expects TLS, write mqtts:// and set {}",
            peer.keys.ca
        ),
        Some(files) if files.client.is_none() => format!(
            "; if it asks for a client certificate, set {}",
            peer.keys.client
        ),
        Some(_) => String::new(),
    };
    Refusal::later(format!("{broker} closed the connection{hint}"))
}

fn explain_tls(error: &rustls::Error, peer: &Peer<'_>) -> Refusal {
    let broker = peer.url;
    let ca = peer.tls.map_or(Path::new("?"), |files| &files.ca).display();
    let host = &broker.host;
    let (key, url_key) = (peer.keys.ca, peer.keys.url);
    match error {
        rustls::Error::InvalidCertificate(reason) => Refusal::person(match reason {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {broker} isn't signed by a CA in {ca}: put the CA of the \
                 broker's certificate there ({key}), with those between if there are any"
            ),
            CertificateError::BadSignature => format!(
                "the certificate of {broker} has a wrong signature: {ca} ({key}) holds \
                 another CA of the same name; put the present one there"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the certificate of {broker} has expired{}: renew it on the broker; if it \
                 hasn't, the clock here is wrong (timedatectl)",
                dates(reason)
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of {broker} isn't valid yet{}: the clock here is probably \
                 wrong (timedatectl)",
                dates(reason)
            ),
            CertificateError::NotValidForName => format!(
                "the certificate of {broker} isn't made out for {host}: write the name that it \
                 is made out for into {url_key}"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "the certificate of {broker} isn't made out for {host} but for {}: write one of \
                 these names into {url_key}, or have the certificate made out for {host} too",
                if presented.is_empty() {
                    "no name at all".into()
                } else {
                    presented.join(", ")
                }
            ),
            other => format!("the certificate of {broker} is refused: {other:?} (CAs: {ca})"),
        }),
        rustls::Error::AlertReceived(alert) => explain_alert(*alert, peer),
        rustls::Error::InvalidMessage(_) => Refusal::person(format!(
            "{broker} doesn't speak TLS there: the port with TLS is usually 8883, the one without \
             1883"
        )),
        other => Refusal::person(format!("TLS with {broker} failed: {other}")),
    }
}

/// RFC 8446, section 6.2: what the broker says about our certificate.
fn explain_alert(alert: AlertDescription, peer: &Peer<'_>) -> Refusal {
    let broker = peer.url;
    let client = peer.tls.and_then(|files| files.client.as_ref());
    let about_us = matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
            | AlertDescription::DecryptError
    );
    let Some(client) = client else {
        return Refusal::person(if about_us {
            format!(
                "{broker} asks for a client certificate and none is set: set \
                 {}",
                peer.keys.client
            )
        } else {
            format!("{broker} refuses TLS: {alert:?}")
        });
    };
    let cert = client.cert.display();
    Refusal::person(match alert {
        AlertDescription::UnknownCA => format!(
            "{broker} refuses the client certificate {cert}: it doesn't know the CA that signed \
             it; have it signed by the broker's CA, or add its CA to the broker"
        ),
        AlertDescription::CertificateExpired => {
            format!("{broker} refuses the client certificate {cert}: it has expired; renew it")
        }
        AlertDescription::CertificateRevoked => {
            format!("{broker} refuses the client certificate {cert}: it was revoked; get a new one")
        }
        _ if about_us => format!("{broker} refuses the client certificate {cert}: {alert:?}"),
        _ => format!("{broker} refuses TLS: {alert:?}"),
    })
}

/// MQTT 5, table 3-1 "Connect Reason Code values".
fn explain_connack(code: ConnectReturnCode, peer: &Peer<'_>) -> Refusal {
    let (broker, id) = (peer.url, peer.client_id);
    match code {
        ConnectReturnCode::NotAuthorized
        | ConnectReturnCode::BadUserNamePassword
        | ConnectReturnCode::Banned => Refusal::person(format!(
            "{broker} doesn't let client {id} in ({code:?}): check the broker's permissions for it"
        )),
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
            Refusal::person(format!(
                "{broker} doesn't accept the client id {id}: set {}",
                peer.keys.client_id
            ))
        }
        ConnectReturnCode::UnsupportedProtocolVersion
        | ConnectReturnCode::RefusedProtocolVersion => Refusal::person(format!(
            "{broker} doesn't speak MQTT 5: use a broker that does, such as mosquitto 2"
        )),
        ConnectReturnCode::QoSNotSupported | ConnectReturnCode::RetainNotSupported => {
            Refusal::person(format!(
                "{broker} refuses the last will ({code:?}): it must grant QoS 1 and retained messages"
            ))
        }
        ConnectReturnCode::UseAnotherServer | ConnectReturnCode::ServerMoved => {
            Refusal::person(format!(
                "{broker} says that another server is to be used: change {}",
                peer.keys.url
            ))
        }
        _ => Refusal::later(format!("{broker} refuses the connection: {code:?}")),
    }
}

fn explain_disconnect(
    code: DisconnectReasonCode,
    reason: Option<&str>,
    peer: &Peer<'_>,
) -> Refusal {
    let (broker, id) = (peer.url, peer.client_id);
    let said = reason
        .map(|reason| format!(" (\"{reason}\")"))
        .unwrap_or_default();
    match code {
        DisconnectReasonCode::SessionTakenOver => Refusal::person(format!(
            "another client connected to {broker} as {id}: two have the same name; change {}{said}",
            peer.keys.client_id
        )),
        DisconnectReasonCode::NotAuthorized | DisconnectReasonCode::AdministrativeAction => {
            Refusal::person(format!("{broker} put client {id} out: {code:?}{said}"))
        }
        _ => Refusal::later(format!("{broker} ended the session: {code:?}{said}")),
    }
}

/// The dates that rustls puts into its errors, where it does.
fn dates(error: &CertificateError) -> String {
    let date = |time: &rustls::pki_types::UnixTime| {
        let ns = i64::try_from(time.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000_000);
        crate::time::rfc3339(ns)
            .chars()
            .take("2026-11-20".len())
            .collect::<String>()
    };
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            format!(" on {} (it is {} here)", date(not_after), date(time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!(" before {} (it is {} here)", date(not_before), date(time))
        }
        _ => String::new(),
    }
}

/// An error of this type inside, however deep it is wrapped.
fn find<'a, T>(
    error: &'a (dyn Error + 'static),
    wanted: fn(&'a (dyn Error + 'static)) -> Option<&'a T>,
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = wanted(error) {
            return Some(found);
        }
        // An io::Error's source() skips the error that it wraps.
        next = match error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => {
                let inner: &(dyn Error + 'static) = inner;
                if let Some(found) = wanted(inner) {
                    return Some(found);
                }
                inner.source()
            }
            None => error.source(),
        };
    }
    None
}

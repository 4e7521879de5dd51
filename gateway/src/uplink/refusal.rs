//! Why a connection didn't come about or ended, in words for the person who has to mend it.
//!
//! Two classes, by who acts: what passes by itself is tried again soon, what only a person mends
//! is tried again slowly, and shown as refused.

use std::error::Error;
use std::path::Path;

use rumqttc::{ConnectReturnCode, ConnectionError, DisconnectReasonCode, PubAckReason, StateError};
use rustls::{AlertDescription, CertificateError};

use super::Settings;

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Try again: the network, or a broker that is busy.
    Later,
    /// A person has to change something.
    Person,
    /// A message was larger than the broker takes.
    TooLarge,
}

/// A reason with its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub class: Class,
    pub message: String,
}

impl Refusal {
    pub fn later(message: impl Into<String>) -> Self {
        Self {
            class: Class::Later,
            message: message.into(),
        }
    }

    pub fn person(message: impl Into<String>) -> Self {
        Self {
            class: Class::Person,
            message: message.into(),
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
pub(super) fn explain(error: &ConnectionError, settings: &Settings) -> Refusal {
    let broker = &settings.url;
    let innermost: &(dyn Error + 'static) = match error {
        // rumqttc doesn't name this one's source as such.
        ConnectionError::MqttState(StateError::Deserialization(source)) => source,
        other => other,
    };
    if let Some(tls) = find(innermost, |error| error.downcast_ref()) {
        return explain_tls(tls, settings);
    }
    match error {
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => {
            explain_connack(*code, settings)
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
        }) => explain_disconnect(*reason_code, reason_string.as_deref(), settings),
        ConnectionError::Timeout(_) => Refusal::later(format!(
            "{broker} doesn't answer within {} s: is the port right, and does a firewall let it \
             through?",
            crate::config::limits::CONNECT_TIMEOUT.as_secs()
        )),
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Refusal::later(format!("{broker} has stopped answering"))
        }
        ConnectionError::Io(source) => explain_io(source, settings),
        ConnectionError::MqttState(StateError::Io(source)) => explain_io(source, settings),
        ConnectionError::MqttState(StateError::ConnectionAborted) => closed(settings),
        other => match find(innermost, |error| error.downcast_ref()) {
            Some(source) => explain_io(source, settings),
            None => Refusal::later(format!("{broker}: {other}")),
        },
    }
}

fn explain_io(error: &std::io::Error, settings: &Settings) -> Refusal {
    use std::io::ErrorKind;
    let broker = &settings.url;
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Refusal::later(format!("nothing listens at {broker}: does the broker run?"))
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => closed(settings),
        _ if error.to_string().contains("lookup") => Refusal::later(format!(
            "the name {} can't be resolved ({error}): is it spelled right, and does DNS work?",
            broker.host
        )),
        _ => Refusal::later(format!("{broker}: {error}")),
    }
}

fn closed(settings: &Settings) -> Refusal {
    let broker = &settings.url;
    let hint = match &settings.tls {
        None => "; if it expects TLS, write mqtts:// and a ca",
        Some(files) if files.client.is_none() => {
            "; if it asks for a client certificate, set client_cert and client_key"
        }
        Some(_) => "",
    };
    Refusal::later(format!("{broker} closed the connection{hint}"))
}

fn explain_tls(error: &rustls::Error, settings: &Settings) -> Refusal {
    let broker = &settings.url;
    let ca = settings
        .tls
        .as_ref()
        .map_or(Path::new("?"), |files| &files.ca)
        .display();
    let host = &broker.host;
    match error {
        rustls::Error::InvalidCertificate(reason) => Refusal::person(match reason {
            CertificateError::UnknownIssuer => format!(
                "the certificate of {broker} isn't signed by a CA in {ca}: put the CA of the \
                 broker's certificate there (uplink.mqtt.ca), with those between if there are any"
            ),
            CertificateError::BadSignature => format!(
                "the certificate of {broker} has a wrong signature: {ca} (uplink.mqtt.ca) holds \
                 another CA of the same name; put the present one there"
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
                "the certificate of {broker} has expired{}: renew it on the broker; if it \
                 hasn't, this gateway's clock is wrong (timedatectl)",
                dates(reason)
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate of {broker} isn't valid yet{}: this gateway's clock is probably \
                 wrong (timedatectl)",
                dates(reason)
            ),
            CertificateError::NotValidForName => format!(
                "the certificate of {broker} isn't made out for {host}: write the name that it \
                 is made out for into uplink.mqtt.url"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "the certificate of {broker} isn't made out for {host} but for {}: write one of \
                 these names into uplink.mqtt.url, or have the certificate made out for {host} too",
                if presented.is_empty() {
                    "no name at all".into()
                } else {
                    presented.join(", ")
                }
            ),
            other => format!("the certificate of {broker} is refused: {other:?} (CAs: {ca})"),
        }),
        rustls::Error::AlertReceived(alert) => explain_alert(*alert, settings),
        rustls::Error::InvalidMessage(_) => Refusal::person(format!(
            "{broker} doesn't speak TLS there: the port with TLS is usually 8883, the one without \
             1883"
        )),
        other => Refusal::person(format!("TLS with {broker} failed: {other}")),
    }
}

/// RFC 8446, section 6.2: what the broker says about our certificate.
fn explain_alert(alert: AlertDescription, settings: &Settings) -> Refusal {
    let broker = &settings.url;
    let client = settings
        .tls
        .as_ref()
        .and_then(|files| files.client.as_ref());
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
                 uplink.mqtt.client_cert and client_key"
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
fn explain_connack(code: ConnectReturnCode, settings: &Settings) -> Refusal {
    let (broker, id) = (&settings.url, &settings.client_id);
    match code {
        ConnectReturnCode::NotAuthorized
        | ConnectReturnCode::BadUserNamePassword
        | ConnectReturnCode::Banned => Refusal::person(format!(
            "{broker} doesn't let client {id} in ({code:?}): check the broker's permissions for it"
        )),
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
            Refusal::person(format!(
                "{broker} doesn't accept the client id {id}: set uplink.mqtt.client_id"
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
        ConnectReturnCode::UseAnotherServer | ConnectReturnCode::ServerMoved => Refusal::person(
            format!("{broker} says that another server is to be used: change uplink.mqtt.url"),
        ),
        _ => Refusal::later(format!("{broker} refuses the connection: {code:?}")),
    }
}

fn explain_disconnect(
    code: DisconnectReasonCode,
    reason: Option<&str>,
    settings: &Settings,
) -> Refusal {
    let (broker, id) = (&settings.url, &settings.client_id);
    let said = reason
        .map(|reason| format!(" (\"{reason}\")"))
        .unwrap_or_default();
    match code {
        DisconnectReasonCode::SessionTakenOver => Refusal::person(format!(
            "another client connected to {broker} as {id}: two gateways have the same site and \
             name, or the same client_id{said}"
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

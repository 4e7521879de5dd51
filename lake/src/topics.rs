//! Kafka's topics: their names, how they are to be, and what is said where they are otherwise.
//!
//! What is missing is made. What exists is looked at and never changed: somebody may have had
//! reasons. A topic that would throw away what it was promised to keep is a reason not to start.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use retrotap::words::Stream;

use crate::kafka;
use crate::limits::{
    ENTRY_BYTES_MAX, FRAMES_RETENTION, KAFKA_ANSWER_MAX, RECORDS_RETENTION, REFUSED_RETENTION,
};

/// What the pipelines made of the frames.
pub const RECORDS: &str = "retrotap.records";
/// The frames as they came from the machines.
pub const FRAMES: &str = "retrotap.frames";
/// What decisions depended on besides frames.
pub const INPUTS: &str = "retrotap.inputs";
/// The newest alarms and states of gateways and machines.
pub const ALARMS: &str = "retrotap.alarms";
/// The manifest of each module that ever made a record, by `<module>@<version>`.
pub const SCHEMAS: &str = "retrotap.schemas";
/// What nobody could make sense of, with the reason.
pub const REFUSED: &str = "retrotap.refused";

/// The topic of a stream.
pub fn of(stream: Stream) -> &'static str {
    match stream {
        Stream::Records => RECORDS,
        Stream::Frames => FRAMES,
        Stream::Inputs => INPUTS,
    }
}

/// How a topic throws things away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// Everything, for this long.
    For(Duration),
    /// The newest of each key, for ever.
    Newest,
}

/// The topics and how they are kept.
const WANTED: [(&str, Keeps); 6] = [
    (RECORDS, Keeps::For(RECORDS_RETENTION)),
    (FRAMES, Keeps::For(FRAMES_RETENTION)),
    (INPUTS, Keeps::For(FRAMES_RETENTION)),
    (ALARMS, Keeps::Newest),
    (SCHEMAS, Keeps::Newest),
    (REFUSED, Keeps::For(REFUSED_RETENTION)),
];

/// How topics are made where they are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Making {
    /// Partitions of a stream's topic: as many sinks can share the work.
    pub partitions: u16,
    /// Copies of each partition.
    pub replication: u16,
}

/// What is wrong with a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The topic.
    pub topic: String,
    /// What is wrong, and what to do about it.
    pub what: String,
    /// Whether it breaks a promise so that nothing may start.
    pub fatal: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kafka topic {}: {}", self.topic, self.what)
    }
}

/// Why topics are not as they have to be.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// Kafka doesn't answer, or not now.
    #[error("Kafka doesn't answer: {0}")]
    Kafka(#[from] KafkaError),
    /// A topic can't be made.
    #[error("Kafka topic {topic} can't be made: {code}")]
    NotMade {
        /// Which.
        topic: String,
        /// Kafka's reason.
        code: RDKafkaErrorCode,
    },
    /// Topics that would lose what they are given.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unfit(Vec<Finding>),
}

impl TopicsError {
    /// Whether it may pass by itself.
    pub fn passes(&self) -> bool {
        match self {
            Self::Kafka(_) => true,
            Self::NotMade { code, .. } => !matches!(
                code,
                RDKafkaErrorCode::InvalidReplicationFactor
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::PolicyViolation
                    | RDKafkaErrorCode::InvalidConfig
            ),
            Self::Unfit(_) => false,
        }
    }
}

/// Makes what is missing, and looks at what is there; answers what a person should know.
///
/// # Errors
///
/// Kafka doesn't answer, refuses, or has topics that would lose what they are given.
pub async fn ensure(kafka: &kafka::Settings, making: Making) -> Result<Vec<Finding>, TopicsError> {
    let admin = kafka::admin(kafka)?;
    let options = AdminOptions::new()
        .request_timeout(Some(KAFKA_ANSWER_MAX))
        .operation_timeout(Some(KAFKA_ANSWER_MAX));
    let known = kafka::topics_there(kafka).await?;
    let missing: Vec<_> = WANTED
        .iter()
        .filter(|(name, _)| !known.contains(*name))
        .collect();
    if !missing.is_empty() {
        let settings: Vec<_> = missing
            .iter()
            .map(|(name, keeps)| (*name, partitions(*keeps, making), config(*keeps, making)))
            .collect();
        let new: Vec<_> = settings
            .iter()
            .map(|(name, partitions, config)| {
                let replication = TopicReplication::Fixed(i32::from(making.replication));
                config.iter().fold(
                    NewTopic::new(name, i32::from(*partitions), replication),
                    |topic, (key, value)| topic.set(key, value),
                )
            })
            .collect();
        for made in admin.create_topics(&new, &options).await? {
            match made {
                Ok(topic) => tracing::info!(topic, "made"),
                // Another program of the lake was faster.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(TopicsError::NotMade { topic, code }),
            }
        }
    }
    let specifiers: Vec<_> = WANTED
        .iter()
        .map(|(name, _)| ResourceSpecifier::Topic(name))
        .collect();
    let mut findings = Vec::new();
    for described in admin.describe_configs(&specifiers, &options).await? {
        let Ok(resource) = described else {
            // Kafka may keep its settings to itself; that is no reason not to work.
            continue;
        };
        let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &resource.specifier else {
            continue;
        };
        let config: BTreeMap<&str, &str> = resource
            .entries
            .iter()
            .filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?)))
            .collect();
        if let Some((_, keeps)) = WANTED.iter().find(|(wanted, _)| wanted == name) {
            findings.extend(judge(name, *keeps, &config));
        }
    }
    if findings.iter().any(|finding| finding.fatal) {
        return Err(TopicsError::Unfit(findings));
    }
    Ok(findings)
}

fn partitions(keeps: Keeps, making: Making) -> u16 {
    match keeps {
        Keeps::For(_) => making.partitions,
        // Few and small: one partition is read at once.
        Keeps::Newest => 1,
    }
}

fn config(keeps: Keeps, making: Making) -> Vec<(&'static str, String)> {
    let mut config = vec![(
        "max.message.bytes",
        // An entry with its key and the frame that Kafka puts around it.
        (ENTRY_BYTES_MAX + 64 * 1024).to_string(),
    )];
    match keeps {
        Keeps::For(time) => {
            config.push(("cleanup.policy", "delete".to_owned()));
            config.push(("retention.ms", time.as_millis().to_string()));
            // Bytes must not cut short what time promises.
            config.push(("retention.bytes", "-1".to_owned()));
        }
        Keeps::Newest => config.push(("cleanup.policy", "compact".to_owned())),
    }
    if making.replication >= 3 {
        // With acks=all and fewer, one broker alone could be all that has it.
        config.push(("min.insync.replicas", "2".to_owned()));
    }
    config
}

/// Compares a topic's settings with what it is for.
fn judge(topic: &str, keeps: Keeps, config: &BTreeMap<&str, &str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |fatal: bool, what: String| {
        findings.push(Finding {
            topic: topic.to_owned(),
            what,
            fatal,
        });
    };
    let policy = config.get("cleanup.policy").copied().unwrap_or_default();
    let number = |name: &str| config.get(name).and_then(|value| value.parse::<i64>().ok());
    match keeps {
        Keeps::For(time) => {
            if policy.contains("compact") {
                find(
                    true,
                    format!(
                        "cleanup.policy is {policy}: compaction keeps the newest entry of each \
                         machine and throws all others away; set it to delete"
                    ),
                );
            }
            if let Some(ms) = number("retention.ms")
                && ms >= 0
                && u128::try_from(ms).is_ok_and(|ms| ms < time.as_millis())
            {
                find(
                    false,
                    format!(
                        "retention.ms is {ms}, {:.1} days; it should be at least {} ({} days)",
                        Duration::from_millis(ms.unsigned_abs()).as_secs_f64() / 86_400.0,
                        time.as_millis(),
                        time.as_secs() / 86_400
                    ),
                );
            }
            if let Some(bytes) = number("retention.bytes")
                && bytes >= 0
            {
                find(
                    false,
                    format!(
                        "retention.bytes is {bytes}: what is older goes when a partition is larger, \
                         however young it is; set it to -1"
                    ),
                );
            }
        }
        Keeps::Newest => {
            if policy != "compact" {
                find(
                    false,
                    format!(
                        "cleanup.policy is {policy}: what doesn't change for long will be gone; \
                         set it to compact"
                    ),
                );
            }
        }
    }
    if let Some(bytes) = number("max.message.bytes")
        && usize::try_from(bytes).is_ok_and(|bytes| bytes < ENTRY_BYTES_MAX)
    {
        find(
            false,
            format!(
                "max.message.bytes is {bytes}: longer entries, up to {ENTRY_BYTES_MAX} bytes, would \
                 be refused and held up for ever; raise it"
            ),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS_KEPT: Keeps = Keeps::For(RECORDS_RETENTION);
    const FRAMES_KEPT: Keeps = Keeps::For(FRAMES_RETENTION);

    fn judged(keeps: Keeps, config: &[(&str, &str)]) -> Vec<(bool, String)> {
        judge("retrotap.x", keeps, &config.iter().copied().collect())
            .into_iter()
            .map(|finding| (finding.fatal, finding.to_string()))
            .collect()
    }

    #[test]
    fn what_is_made_is_as_it_should_be() {
        let making = Making {
            partitions: 6,
            replication: 3,
        };
        for (name, keeps) in WANTED {
            let made = config(keeps, making);
            let made = made
                .iter()
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            assert_eq!(judge(name, keeps, &made), []);
        }
    }

    #[test]
    fn a_stream_that_is_compacted_is_a_reason_not_to_start() {
        for policy in ["compact", "compact,delete"] {
            let found = judged(RECORDS_KEPT, &[("cleanup.policy", policy)]);
            assert!(
                matches!(&found[..], [(true, text)] if text.contains(policy)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn frames_that_are_kept_for_a_week_are_told_of() {
        let week = RECORDS_RETENTION.as_millis().to_string();
        let config = [
            ("cleanup.policy", "delete"),
            ("retention.ms", week.as_str()),
        ];
        assert_eq!(judged(RECORDS_KEPT, &config), []);
        let found = judged(FRAMES_KEPT, &config);
        assert!(
            matches!(&found[..], [(false, text)] if text.contains("7.0 days") && text.contains("35 days")),
            "{found:?}"
        );
    }

    #[test]
    fn for_ever_is_long_enough() {
        let config = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
        ];
        assert_eq!(judged(FRAMES_KEPT, &config), []);
    }

    #[test]
    fn a_limit_of_bytes_and_small_messages_are_told_of() {
        let found = judged(
            FRAMES_KEPT,
            &[
                ("retention.bytes", "1000000"),
                ("max.message.bytes", "1048588"),
            ],
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn schemas_that_are_deleted_by_age_are_told_of() {
        let found = judged(Keeps::Newest, &[("cleanup.policy", "delete")]);
        assert!(matches!(&found[..], [(false, _)]), "{found:?}");
    }
}

//! Topics of MQTT, read and written.

use retrotap::words::Stream;

/// The root of all topics, with the version of the protocol.
const ROOT: &str = "retrotap/1/";

/// What a topic says of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// Entries of a machine.
    Entries {
        /// Whose.
        names: Names<'a>,
        /// Of which stream.
        stream: Stream,
    },
    /// A module's manifest; the module is `<module>@<version>`.
    Schema(&'a str),
    /// Alarms, or the state of a gateway or machine: the path below the root is its key.
    State(&'a str),
}

/// Whose entries they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// The plant.
    pub site: &'a str,
    /// The gateway in it.
    pub gateway: &'a str,
    /// The machine at it.
    pub machine: &'a str,
}

impl<'a> Names<'a> {
    /// The key of its entries in Kafka: one partition, and so one order, for a machine.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.site, self.gateway, self.machine)
    }

    /// Where its gateway waits for `taken`.
    pub fn taken_topic(&self) -> String {
        format!("{ROOT}{}/taken", self.key())
    }
}

/// Reads a topic; `None` where it is none of ours.
pub fn read(topic: &str) -> Option<Address<'_>> {
    let path = topic.strip_prefix(ROOT)?;
    let levels: Vec<&str> = path.split('/').collect();
    if levels.iter().any(|level| level.is_empty()) {
        return None;
    }
    match levels[..] {
        [site, gateway, machine, last] => {
            if let Some(stream) = Stream::from_name(last) {
                let names = Names {
                    site,
                    gateway,
                    machine,
                };
                return Some(Address::Entries { names, stream });
            }
            matches!(last, "status" | "alarms").then_some(Address::State(path))
        }
        [_, _, _, "schema", module] => Some(Address::Schema(module)),
        [_, _, "status" | "alarms"] => Some(Address::State(path)),
        _ => None,
    }
}

/// What an ingest subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    /// The group that shares the entries.
    pub share: String,
    /// A plant, or all of them.
    pub site: Option<String>,
    /// Gateways, or all of them where there is none.
    pub gateways: Vec<String>,
}

impl Filters {
    /// All that is subscribed to.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = self.shared();
        paths.extend(self.retained());
        paths
    }

    /// Entries: each message goes to one member of the group.
    pub fn shared(&self) -> Vec<String> {
        let mut filters = Vec::new();
        for root in self.roots() {
            for stream in Stream::ALL {
                filters.push(format!("$share/{}/{root}/+/{}", self.share, stream.name()));
            }
        }
        filters
    }

    /// What is retained. A shared subscription gets nothing of what the broker kept (MQTT 5,
    /// section 4.8.2), so every member has these; the newest of each is the same from whomever.
    pub fn retained(&self) -> Vec<String> {
        let mut filters = Vec::new();
        for root in self.roots() {
            for below in ["+/schema/+", "+/alarms", "+/status", "alarms", "status"] {
                filters.push(format!("{root}/{below}"));
            }
        }
        filters
    }

    fn roots(&self) -> Vec<String> {
        let site = self.site.as_deref().unwrap_or("+");
        if self.gateways.is_empty() {
            return vec![format!("{ROOT}{site}/+")];
        }
        self.gateways
            .iter()
            .map(|gateway| format!("{ROOT}{site}/{gateway}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_told_apart() {
        let names = Names {
            site: "aachen",
            gateway: "cell-3",
            machine: "robot-1",
        };
        for stream in Stream::ALL {
            assert_eq!(
                read(&format!(
                    "retrotap/1/aachen/cell-3/robot-1/{}",
                    stream.name()
                )),
                Some(Address::Entries { names, stream })
            );
        }
        assert_eq!(
            read("retrotap/1/aachen/cell-3/robot-1/schema/arm-distance@1.0.0"),
            Some(Address::Schema("arm-distance@1.0.0"))
        );
        for path in [
            "aachen/cell-3/status",
            "aachen/cell-3/alarms",
            "aachen/cell-3/robot-1/alarms",
            "aachen/cell-3/robot-1/status",
        ] {
            assert_eq!(
                read(&format!("retrotap/1/{path}")),
                Some(Address::State(path))
            );
        }
        assert_eq!(names.key(), "aachen/cell-3/robot-1");
        assert_eq!(
            names.taken_topic(),
            "retrotap/1/aachen/cell-3/robot-1/taken"
        );
    }

    #[test]
    fn other_topics_are_none_of_ours() {
        for topic in [
            "",
            "retrotap/1/",
            "retrotap/2/a/b/c/records",
            "retrotap/1/a/b/records",
            "retrotap/1/a//c/records",
            "retrotap/1/a/b/c/taken",
            "retrotap/1/a/b/c/records/more",
            "other/1/a/b/c/records",
        ] {
            assert_eq!(read(topic), None, "{topic}");
        }
    }

    #[test]
    fn filters_name_sites_and_gateways_where_they_are_given() {
        let mut filters = Filters {
            share: "lake".into(),
            site: None,
            gateways: vec![],
        };
        assert_eq!(filters.shared()[0], "$share/lake/retrotap/1/+/+/+/records");
        filters.site = Some("aachen".into());
        filters.gateways = vec!["cell-3".into(), "cell-4".into()];
        assert_eq!(filters.shared().len(), 6);
        assert!(
            filters
                .shared()
                .contains(&"$share/lake/retrotap/1/aachen/cell-4/+/inputs".into())
        );
        assert!(
            filters
                .retained()
                .contains(&"retrotap/1/aachen/cell-3/+/schema/+".into())
        );
        assert!(
            filters
                .retained()
                .contains(&"retrotap/1/aachen/cell-3/status".into())
        );
    }
}

//! What kind of value a field holds, from the manifests that gateways publish.

use std::collections::HashMap;

use retrotap_abi::Manifest;
use retrotap_abi::manifest::Kind;

use crate::limits::SCHEMAS_MAX;

/// The kinds of all fields of all modules that are known.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    /// By `<module>@<version>`.
    modules: HashMap<String, Vec<Fields>>,
}

/// The fields of one record, in the order in which a module emits them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    record: String,
    fields: Vec<(String, Kind)>,
}

impl Schemas {
    /// Adds or replaces a module's manifest; says whether there was room.
    pub fn put(&mut self, module: &str, manifest: &Manifest) -> bool {
        if self.modules.len() >= SCHEMAS_MAX && !self.modules.contains_key(module) {
            return false;
        }
        let records = manifest.records.iter().map(|record| Fields {
            record: record.record.clone(),
            fields: record
                .fields
                .iter()
                .map(|field| (field.name.clone(), field.kind))
                .collect(),
        });
        self.modules.insert(module.to_owned(), records.collect());
        true
    }

    /// Those of a record, if its module is known.
    pub fn fields(&self, module: &str, record: &str) -> Option<&Fields> {
        let records = self.modules.get(module)?;
        records.iter().find(|fields| fields.record == record)
    }

    /// How many modules are known.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

impl Fields {
    /// The kind of a field. `from` is where to begin to look, and then where the next one probably
    /// stands: a record's fields come in the order of the manifest.
    pub fn kind(&self, name: &str, from: &mut usize) -> Option<Kind> {
        let (before, after) = self.fields.split_at((*from).min(self.fields.len()));
        let at = match after.iter().position(|(known, _)| known == name) {
            Some(at) => before.len() + at,
            None => before.iter().position(|(known, _)| known == name)?,
        };
        *from = at + 1;
        self.fields.get(at).map(|(_, kind)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm_distance() -> Manifest {
        let text = include_str!("../../../pipelines/stages/arm-distance/manifest.yaml");
        Manifest::from_yaml(text).expect("a manifest")
    }

    #[test]
    fn fields_are_found_in_any_order() {
        let mut schemas = Schemas::default();
        assert!(schemas.put("arm-distance@1.0.0", &arm_distance()));
        let fields = schemas
            .fields("arm-distance@1.0.0", "distance")
            .expect("known");
        let mut from = 0;
        for (name, kind) in [
            ("distance_m", Some(Kind::F64)),
            ("nearest_link", Some(Kind::Row)),
            ("flange_speed_m_per_s", Some(Kind::F64)),
            ("distance_m", Some(Kind::F64)),
            ("unknown", None),
            ("nearest_obstacle", Some(Kind::Row)),
        ] {
            assert_eq!(fields.kind(name, &mut from), kind, "{name}");
        }
        assert_eq!(schemas.fields("arm-distance@1.0.0", "nothing"), None);
        assert_eq!(schemas.fields("arm-distance@2.0.0", "distance"), None);
    }

    #[test]
    fn there_is_room_for_a_bounded_number_of_modules() {
        let manifest = Manifest {
            records: Vec::new(),
            ..arm_distance()
        };
        let mut schemas = Schemas::default();
        for n in 0..SCHEMAS_MAX {
            assert!(schemas.put(&format!("m@{n}"), &manifest));
        }
        assert!(!schemas.put("one-more", &manifest));
        assert!(schemas.put("m@0", &manifest));
        assert_eq!(schemas.len(), SCHEMAS_MAX);
    }
}

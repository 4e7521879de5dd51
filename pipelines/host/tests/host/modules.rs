//! Reading and packing modules.

use proptest::prelude::*;
use retrotap_host::inspect::Inspection;
use retrotap_host::{Module, ModuleError, PackError, pack};

use crate::support::{code, guest, manifest, with_section};

#[test]
fn packing_sets_the_memory_and_leaves_one_section() {
    let from_a_compiler = wat::parse_str(
        r#"(module
          (memory (export "memory") 1)
          (func (export "rt_abi") (result i32) i32.const 1)
          (func (export "rt_input") (result i32) i32.const 0)
          (func (export "rt_config") (result i32) i32.const 64)
          (func (export "rt_output") (result i32) i32.const 128)
          (func (export "rt_configure") (result i32) i32.const 0)
          (func $named (export "rt_process") (param i32 i64) (result i32) i32.const 0)
          (@custom "producers" "somebody"))"#,
    )
    .unwrap();
    let packed = pack(&from_a_compiler, &manifest()).unwrap();
    let module = Module::parse(&packed).unwrap();
    assert_eq!(module.manifest(), &manifest());
    assert_eq!(module.id(), "guest@1.0.0");
    let sections: Vec<String> = wasmparser::Parser::new(0)
        .parse_all(&packed)
        .filter_map(|payload| match payload.unwrap() {
            wasmparser::Payload::CustomSection(section) => Some(section.name().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(sections, ["retrotap"]);
}

#[test]
fn packing_a_packed_module_changes_nothing() {
    let once = pack(&code("healthy"), &manifest()).unwrap();
    assert_eq!(pack(&once, &manifest()).unwrap(), once);
}

#[test]
fn code_that_needs_more_memory_than_its_manifest_gives_is_not_packed() {
    let large = pack(&code("memory_too_large"), &manifest());
    assert!(
        matches!(
            large,
            Err(PackError::Memory {
                needed: 65536,
                given: 4096
            })
        ),
        "{large:?}"
    );
    let data = pack(&code("data_outside"), &manifest());
    assert!(
        matches!(
            data,
            Err(PackError::Memory { given: 4096, .. }) | Err(PackError::Module(_))
        ),
        "{data:?}"
    );
}

#[test]
fn a_module_without_a_manifest_is_refused() {
    assert!(matches!(
        Module::parse(&code("healthy")),
        Err(ModuleError::NoManifest)
    ));
}

#[test]
fn a_second_manifest_is_refused() {
    let packed = pack(&code("healthy"), &manifest()).unwrap();
    let forged = with_section(&packed, manifest().to_json().as_bytes());
    assert!(matches!(
        Module::parse(&forged),
        Err(ModuleError::TwoManifests)
    ));
}

#[test]
fn a_manifest_that_is_not_in_order_is_refused_with_all_that_is_wrong() {
    let mut wrong = manifest();
    wrong.abi = 2;
    wrong.time_budget_us = 0;
    let bytes = with_section(&code("healthy"), wrong.to_json().as_bytes());
    let error = Module::parse(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("this is ABI 1") && error.contains("time_budget_us"),
        "{error}"
    );
}

#[test]
fn what_is_too_large_is_refused_before_anybody_reads_it() {
    let bytes = vec![0; retrotap_abi::limits::MODULE_BYTES_MAX + 1];
    assert!(matches!(
        Module::parse(&bytes),
        Err(ModuleError::TooLarge { .. })
    ));
    let fat = with_section(
        &code("healthy"),
        &vec![b' '; retrotap_abi::limits::MANIFEST_BYTES_MAX + 1],
    );
    assert!(matches!(
        Module::parse(&fat),
        Err(ModuleError::ManifestTooLarge { .. })
    ));
}

#[test]
fn an_inspection_says_what_a_module_takes_emits_and_rejects() {
    let text = Inspection(&guest("healthy")).to_string();
    for line in [
        "guest@1.0.0: A guest",
        "frames of at most 16 bytes",
        "emits    reading",
        "limit_m [m] = 1",
        "too_high",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Module::parse(&bytes);
    }

    #[test]
    fn a_damaged_module_is_read_or_refused_but_never_a_panic(place in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = pack(&code("healthy"), &manifest()).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let _ = Module::parse(&bytes);
    }

    #[test]
    fn half_a_module_is_refused(length in any::<prop::sample::Index>()) {
        let bytes = pack(&code("healthy"), &manifest()).unwrap();
        prop_assert!(Module::parse(&bytes[..length.index(bytes.len())]).is_err());
    }
}

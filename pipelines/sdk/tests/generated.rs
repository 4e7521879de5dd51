//! The code that a build script makes of a manifest, as a file to read.

use std::path::Path;

use retrotap_abi::manifest::Manifest;

#[test]
fn the_generated_code_is_the_one_that_was_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smoke");
    let yaml = std::fs::read_to_string(folder.join("manifest.yaml")).unwrap();
    let source = retrotap_abi::codegen::rust(&Manifest::from_yaml(&yaml).unwrap()).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(folder.join("manifest.rs"), &source).unwrap();
    }
    let golden = std::fs::read_to_string(folder.join("manifest.rs")).unwrap();
    assert_eq!(
        source, golden,
        "run again with UPDATE_GOLDEN=1 and look at the difference"
    );
}

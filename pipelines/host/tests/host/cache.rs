//! The cache of compiled modules: it saves time and is never believed.

use std::fs;
use std::path::{Path, PathBuf};

use retrotap_host::{Engine, Verdict, WasmtimeOptions};

use crate::support::{guest, load};

fn runs(folder: &Path) -> bool {
    let engine = Engine::wasmtime(WasmtimeOptions {
        cache_dir: Some(folder.to_owned()),
    })
    .unwrap();
    load(&engine, &guest("healthy"))
        .process(b"frame", 0)
        .verdict()
        == Verdict::Accepted
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn a_compiled_module_is_kept_once_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    assert!(runs(folder.path()));
    let [file] = &files(folder.path())[..] else {
        panic!("{:?}", files(folder.path()))
    };
    let written = fs::metadata(file).unwrap().modified().unwrap();
    assert!(runs(folder.path()));
    assert_eq!(files(folder.path()), std::slice::from_ref(file));
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written);
}

#[test]
fn a_file_that_is_cut_or_flipped_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    assert!(runs(folder.path()));
    let file = files(folder.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&whole[..whole.len() / 2], &whole[..10], &[], &flipped[..]] {
        fs::write(&file, damaged).unwrap();
        assert!(runs(folder.path()));
        assert_eq!(fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_costs_nothing_but_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    assert!(runs(&file));
}

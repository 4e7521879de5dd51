//! The binary carries the shipped stages and the page; this makes sure that both have been built.

use std::path::Path;

fn main() {
    for (folder, what, how) in [
        ("../target/stages", "the stages", "make stages"),
        ("../ui/dist", "the page", "make page"),
    ] {
        println!("cargo:rerun-if-changed={folder}");
        let built =
            std::fs::read_dir(Path::new(folder)).is_ok_and(|mut files| files.next().is_some());
        assert!(built, "{what} in {folder} must be built first: run `{how}`");
    }
    println!("cargo:rerun-if-changed=../adapters/machines");
}

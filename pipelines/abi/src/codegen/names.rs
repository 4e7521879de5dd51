//! Names of a manifest as names of a language.

/// `value_encoding` or `krc2-decode` as a type's name: `ValueEncoding`.
pub(super) fn type_name(name: &str) -> String {
    let mut out = String::new();
    for part in name.split(['_', '-']) {
        let mut letters = part.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// A field's name, escaped where it is a word of Rust.
pub(super) fn field_name(name: &str) -> String {
    const WORDS: &[&str] = &[
        "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do",
        "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
        "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
        "return", "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe",
        "unsized", "use", "virtual", "where", "while", "yield",
    ];
    match name {
        // These four can't be raw identifiers.
        "self" | "super" | "crate" => format!("{name}_"),
        word if WORDS.contains(&word) => format!("r#{word}"),
        plain => plain.to_owned(),
    }
}

/// `rows_max` as a constant's name.
pub(super) fn constant_name(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

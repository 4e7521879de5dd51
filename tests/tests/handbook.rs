//! The handbook does what it says: its commands run, its YAML is accepted, its links lead somewhere,
//! and no key, stage or field is left out.
//!
//! | a block marked | is |
//! |---|---|
//! | `sh` | run, in the order of its page, in one folder for each page; every command must succeed |
//! | `sh hardware`, `sh endless`, `sh elsewhere` | not run: it needs a machine, goes on until Ctrl-C, or needs a container engine or a cluster (tests/scenarios/deploy looks at those) |
//! | `yaml` | a whole adapter or whole settings |
//! | `yaml setting` | keys of the settings, laid over the least that runs |
//! | `yaml framing` | what stands under an adapter's `framing` |
//! | `json` | read as JSON |
//! | `text` | not looked at |

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use retrotap::modules::signature::SecretKey;
use retrotap_adapters::schema;
use retrotap_tests::binary::{self, repository};
use retrotap_tests::certificates::{Authority, Validity};

/// Longer than any block may take, so that one that hangs is told by name.
const BLOCK_SECONDS_MAX: &str = "60";

/// The settings that `yaml setting` is laid over.
const LEAST_SETTINGS: &str = "\
site: aachen
gateway: cell-3
allow_unsigned: true
spool: {path: spool}
machines:
  - {id: robot-1, adapter: kuka-krc2, port: /dev/ttyUSB0}
";

struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn name(&self) -> String {
        let root = repository();
        self.path
            .strip_prefix(&root)
            .unwrap_or(&self.path)
            .display()
            .to_string()
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for (index, line) in self.text.lines().enumerate() {
            match line.strip_prefix("```") {
                Some(info) if !inside => {
                    inside = true;
                    let place = format!("{}:{}", self.name(), index + 1);
                    blocks.push(Block {
                        place,
                        info: info.to_owned(),
                        body: String::new(),
                    });
                }
                Some(_) => inside = false,
                None if inside => {
                    if let Some(block) = blocks.last_mut() {
                        block.body += line;
                        block.body.push('\n');
                    }
                }
                None => {}
            }
        }
        assert!(!inside, "{}: a block without an end", self.name());
        blocks
    }

    /// The text without its blocks.
    fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }

    /// Every word in `code` of the prose.
    fn words_in_code(&self) -> BTreeSet<String> {
        let is_part =
            |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
        let prose = self.prose();
        let code = prose.split('`').skip(1).step_by(2);
        code.flat_map(|code| code.split(move |character| !is_part(character)))
            .map(str::to_owned)
            .collect()
    }
}

struct Block {
    place: String,
    info: String,
    body: String,
}

fn page(name: &str) -> Page {
    let path = repository().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page { path, text }
}

fn pages() -> Vec<Page> {
    let folder = std::fs::read_dir(repository().join("docs")).expect("the handbook");
    let mut names: Vec<String> = folder
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .collect();
    names.push("README.md".to_owned());
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

#[test]
fn every_block_says_what_it_is() {
    const KNOWN: [&str; 9] = [
        "sh",
        "sh hardware",
        "sh endless",
        "sh elsewhere",
        "yaml",
        "yaml setting",
        "yaml framing",
        "json",
        "text",
    ];
    for block in pages().iter().flat_map(Page::blocks) {
        assert!(
            KNOWN.contains(&block.info.as_str()),
            "{}: `{}`",
            block.place,
            block.info
        );
    }
}

#[test]
fn every_command_does_what_its_page_says() {
    let folder_of_binary = binary::retrotap().parent().expect("a folder").to_owned();
    let (pages, folder) = (pages(), &folder_of_binary);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = pages
            .iter()
            .map(|page| scope.spawn(move || run(page, folder)))
            .collect();
        runs.into_iter()
            .flat_map(|page| page.join().expect("no panic"))
            .collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Runs the blocks of a page; what failed.
fn run(page: &Page, folder_of_binary: &Path) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut failed = Vec::new();
    for block in page.blocks().iter().filter(|block| block.info == "sh") {
        // The shell's `-e` doesn't see a negated command, unless it is the last one.
        let negated = block
            .body
            .lines()
            .filter(|line| line.starts_with("! "))
            .count();
        let last_is = block
            .body
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("! "));
        if negated > usize::from(last_is) {
            failed.push(format!("{}: `!` counts in the last line only", block.place));
        }
        let mut command = Command::new("timeout");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RETROTAP") {
                command.env_remove(name);
            }
        }
        let done = command
            .args([
                BLOCK_SECONDS_MAX,
                "bash",
                "-euo",
                "pipefail",
                "-c",
                &block.body,
            ])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", folder_of_binary.display()))
            .output()
            .expect("a shell");
        if !done.status.success() {
            let mut text = format!("{}: {}", block.place, done.status);
            for said in [&done.stdout, &done.stderr] {
                let _ = write!(text, "\n{}", String::from_utf8_lossy(said));
            }
            failed.push(text);
        }
    }
    failed
}

#[test]
fn every_yaml_is_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path(), "ca");
    authority.client("gateway", Validity::Valid);
    let (_, key) = SecretKey::generate();
    std::fs::write(folder.path().join("plant.pub"), key.to_pem()).expect("a file");
    for name in ["obstacles.json", "people.json"] {
        let one = r#"[{"id":"p1","kind":"sphere","center":[2,0,1],"radius":0.3}]"#;
        std::fs::write(folder.path().join(name), one).expect("a file");
    }
    for block in pages().iter().flat_map(Page::blocks) {
        let Some(kind) = block.info.strip_prefix("yaml") else {
            continue;
        };
        match kind.trim() {
            "setting" => check_settings(folder.path(), LEAST_SETTINGS, Some(&block)),
            "framing" => check_adapter(&block.place, &adapter_with_framing(&block.body)),
            _ if block.body.starts_with("adapter:") => check_adapter(&block.place, &block.body),
            _ => check_settings(folder.path(), &block.body, None),
        }
    }
}

fn check_settings(folder: &Path, settings: &str, over: Option<&Block>) {
    let file = folder.join("retrotap.yaml");
    let drop_ins = folder.join("retrotap.yaml.d");
    std::fs::create_dir_all(&drop_ins).expect("a folder");
    std::fs::write(&file, settings).expect("a file");
    let body = over.map_or("{}", |block| &block.body);
    std::fs::write(drop_ins.join("over.yaml"), body).expect("a file");
    let checked = binary::run(&["check", &file.display().to_string()]);
    let place = over.map_or(settings, |block| &block.place);
    assert_eq!(
        checked.code,
        Some(0),
        "{place}\n{}{}",
        checked.out,
        checked.err
    );
}

fn check_adapter(place: &str, text: &str) {
    if let Err(problems) = schema::parse(text, place) {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{place}\n{}\n{text}", lines.join("\n"));
    }
}

fn adapter_with_framing(framing: &str) -> String {
    let framing: String = framing.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "adapter: example\ntitle: Example\n\
         serial: {{baud: 9600, data_bits: 8, parity: none, stop_bits: 1}}\n\
         framing:\n{framing}stale_after: 5s\npipeline: [{{stage: example}}]\npublish: [example]\n"
    )
}

#[test]
fn every_json_can_be_read() {
    for block in pages()
        .iter()
        .flat_map(Page::blocks)
        .filter(|block| block.info == "json")
    {
        let read = serde_json::from_str::<serde_json::Value>(&block.body);
        assert!(read.is_ok(), "{}: {}", block.place, read.unwrap_err());
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        for link in links(&page.prose()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let folder = page.path.parent().expect("a folder");
            let target = if file.is_empty() {
                page.path.clone()
            } else {
                folder.join(file)
            };
            let is_there = target.exists()
                && (anchor.is_empty() || anchors(&target).iter().any(|known| known == anchor));
            if !is_there {
                dead.push(format!("{}: {link}", page.name()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

/// Where links and pictures lead, those to other hosts left out.
fn links(prose: &str) -> Vec<String> {
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.to_owned())
        .filter(|link| !link.contains("://"))
        .collect()
}

/// The names that a page's headings have in links.
fn anchors(target: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(target).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
            let title: String = line
                .trim_start_matches('#')
                .trim()
                .chars()
                .filter(kept)
                .collect();
            title.to_lowercase().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_key_of_the_settings_is_explained() {
    all_are_in(
        "docs/settings.md",
        &keys_in(&["gateway/src/config/read.rs"]),
    );
}

#[test]
fn every_key_of_an_adapter_is_explained() {
    let sources =
        ["mod.rs", "framing.rs", "pipeline.rs"].map(|file| format!("adapters/src/validate/{file}"));
    all_are_in("docs/adapters.md", &keys_in(&sources));
}

#[test]
fn every_name_in_a_shipped_manifest_is_in_the_page_about_stages() {
    let folder = std::fs::read_dir(repository().join("pipelines/stages")).expect("the stages");
    let mut names = BTreeSet::new();
    for stage in folder {
        let stage = stage.expect("an entry");
        let text = std::fs::read_to_string(stage.path().join("manifest.yaml")).expect("a manifest");
        for line in text.lines() {
            for key in ["name: ", "record: "] {
                names.extend(line.split(key).nth(1).map(|rest| {
                    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                    rest[..end.unwrap_or(rest.len())].to_owned()
                }));
            }
        }
        let heading = format!("### {}\n", stage.file_name().to_string_lossy());
        assert!(
            page("docs/stages.md").text.contains(&heading),
            "no {heading}"
        );
    }
    assert!(names.len() > 100, "too few names are found: {names:?}");
    all_are_in("docs/stages.md", &names);
}

/// The lists of keys in a source file: `&["one", "two"]`.
fn keys_in(sources: &[impl AsRef<str>]) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for source in sources {
        let text = page(source.as_ref()).text;
        for list in text
            .split("&[")
            .skip(1)
            .filter_map(|rest| rest.split_once(']'))
        {
            if list.0.trim_start().starts_with('"') {
                keys.extend(list.0.split('"').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }
    assert!(keys.len() > 20, "too few keys are found: {keys:?}");
    keys
}

fn all_are_in(name: &str, wanted: &BTreeSet<String>) {
    let explained = page(name).words_in_code();
    let missing: Vec<_> = wanted.difference(&explained).collect();
    assert!(missing.is_empty(), "{name} says nothing about {missing:?}");
}

//! `retrotap check`: every mistake that can be found without starting anything.
//!
//! In three steps, each only if the one before found nothing: the settings themselves; adapters and
//! pipelines, which are put together as they would be to run; then what surrounds them, ports and
//! certificates. A port that isn't there is a warning: the gateway waits for it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use serde::Serialize;

use super::spool::hours_text;
use super::{gateway, plan};
use crate::config::Settings;
use crate::config::cell::{Action, Cell};
use crate::spool::look::Look;
use crate::time::rfc3339;
use crate::uplink::tls;
use crate::web::access::USERS_FILE;
use crate::web::access::accounts::Accounts;
use crate::web::tls as page_tls;

/// A certificate that ends within this many days is worth a warning.
const RENEW_WITHIN_DAYS: i64 = 30;
const NS_PER_S: i64 = 1_000_000_000;

/// Finds every mistake in the settings without starting anything.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  retrotap check retrotap.yaml")]
pub struct Args {
    /// The settings.
    #[arg(default_value = "/etc/retrotap/retrotap.yaml")]
    file: PathBuf,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the gateway would refuse to start, or go on without.
    pub severity: Severity,
    /// The file and, where there is one, line and column.
    pub file: String,
    /// From 1; absent where the finding isn't about a place in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// In characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Where in the document, such as `machines[0].port`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What would probably mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It doesn't start like this.
    Error,
    /// It starts, but something will be missing.
    Warning,
}

/// Runs the command: exit code 0 without errors, 1 with errors, 2 if there is no such file.
///
/// # Errors
///
/// The findings can't be written as JSON.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.file.exists() {
        eprintln!("error: there is no file {}", args.file.display());
        return Ok(ExitCode::from(2));
    }
    let (findings, said) = tokio::task::spawn_blocking({
        let file = args.file.clone();
        move || (findings(&file), said(&file))
    })
    .await?;
    let errors = findings
        .iter()
        .filter(|found| found.severity == Severity::Error)
        .count();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        for found in &findings {
            println!("{}", text(found));
        }
        let file = args.file.display();
        match (errors, findings.len()) {
            (0, 0) => println!("{file}: all is well"),
            (errors, all) => println!(
                "{file}: {}, {}",
                counted(errors, "error"),
                counted(all - errors, "warning")
            ),
        }
        for said in said {
            println!("{said}");
        }
    }
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the settings come to: what each cell does, and how long the spool can hold out.
fn said(file: &Path) -> Vec<String> {
    let Ok(settings) = plan::settings(file) else {
        return Vec::new();
    };
    let mut said: Vec<String> = settings.cells.iter().map(cell_text).collect();
    said.extend(room(&settings));
    said
}

/// A cell in a paragraph.
fn cell_text(cell: &Cell) -> String {
    let robots: Vec<&str> = cell.robots.iter().map(|robot| &*robot.machine).collect();
    let mut text = format!("cell {}: {}", cell.id, robots.join(", "));
    let Some(separation) = &cell.separation else {
        return text + "; distances only, no states, nothing is written";
    };
    let unwatched = "; nobody says where people are: fixtures alone count";
    text += &match cell.source {
        None => unwatched.to_owned(),
        Some(source) => format!(
            "; unknown when obstacles are older than {}",
            milliseconds(source.time_to_live)
        ),
    };
    text += &format!(
        "; stop below 0 m of margin, warn below {} m, better again {} m above it for {}",
        separation.warn_margin_m,
        separation.hysteresis_m,
        milliseconds(separation.hold)
    );
    match &cell.permit {
        None => text += "; no permit is sent",
        Some(permit) => {
            text += &format!(
                "; in clear and warn the permit {} goes to {} every {}",
                bytes_text(&permit.bytes),
                permit.machine,
                milliseconds(permit.every)
            );
        }
    }
    for (state, action) in &cell.actions {
        let action = match action {
            Action::SerialWrite { machine, bytes } => {
                format!("{} to {machine} once (not fail-safe)", bytes_text(bytes))
            }
            Action::Gpio(gpio) => format!(
                "line {} of {} to {} (not fail-safe)",
                gpio.line,
                gpio.chip.display(),
                u8::from(gpio.value)
            ),
            Action::MqttAlarm => "an alarm on the broker".to_owned(),
            Action::Webhook(webhook) => format!("a POST to {}", webhook.url),
        };
        text += &format!("\n  on {}: {action}", state.name());
    }
    text + "\n  advisory: this is not a safety function"
}

fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_secs_f64() * 1e3)
}

fn bytes_text(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(" ")
}

fn room(settings: &Settings) -> Option<String> {
    let spool = &settings.spool;
    let held = Look::open(&spool.path).ok()?.held();
    let hours = held.hours_in(spool.max_bytes)?;
    Some(format!(
        "the spool has room for {} at the rate that it has seen",
        hours_text(hours)
    ))
}

/// `1 error`, `2 errors`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// All that is wrong with the settings of `file` and what they name.
pub fn findings(file: &Path) -> Vec<Finding> {
    let settings = match plan::settings(file) {
        Ok(settings) => settings,
        Err(problems) => {
            return problems
                .into_iter()
                .map(|problem| Finding {
                    severity: Severity::Error,
                    file: problem.file,
                    line: Some(problem.line),
                    column: Some(problem.column),
                    path: problem.path,
                    message: problem.message,
                    expected: problem.expected,
                    suggestion: problem.suggestion,
                })
                .collect();
        }
    };
    let about = |severity, path: String, message: String| Finding {
        severity,
        file: file.display().to_string(),
        line: None,
        column: None,
        path,
        message,
        expected: None,
        suggestion: None,
    };
    let mut findings = pipelines(&settings, &about);
    if findings.is_empty() {
        ports(&settings, &about, &mut findings);
        certificates(&settings, &about, &mut findings);
        spool(&settings, &about, &mut findings);
        page(&settings, &about, &mut findings);
    }
    findings
}

/// The page's certificate and users, as far as they are there.
fn page(settings: &Settings, about: &About<'_>, findings: &mut Vec<Finding>) {
    let Some(web) = &settings.web else {
        return;
    };
    let mut wrong = |path: &str, message: String| {
        findings.push(about(Severity::Error, path.to_owned(), message));
    };
    let listen = plan::listen(web);
    if let Some(files) = &listen.cert
        && let Err(error) = page_tls::of_files(files)
    {
        wrong("web.tls", error.to_string());
    }
    if let Err(error) = Accounts::open(web.state_dir.join(USERS_FILE)) {
        wrong("web.state_dir", error.to_string());
    }
}

/// A spool that is there must be one that can be opened.
fn spool(settings: &Settings, about: &About<'_>, findings: &mut Vec<Finding>) {
    let path = &settings.spool.path;
    if path.join("spool.db").exists()
        && let Err(error) = Look::open(path)
    {
        findings.push(about(
            Severity::Error,
            "spool.path".to_owned(),
            error.to_string(),
        ));
    }
}

type About<'a> = dyn Fn(Severity, String, String) -> Finding + 'a;

fn pipelines(settings: &Settings, about: &About<'_>) -> Vec<Finding> {
    let catalog = plan::catalog(settings);
    let engine = match catalog.engine() {
        Ok(engine) => engine,
        Err(error) => return vec![about(Severity::Error, String::new(), error.to_string())],
    };
    let mut findings = Vec::new();
    for (index, machine) in settings.machines.iter().enumerate() {
        let assembled = plan::machine(machine)
            .and_then(|machine| gateway::load(&engine, &catalog, &machine, &settings.cells))
            .map(|loaded| loaded.assembled)
            .map_err(|error| format!("{error:#}"));
        match assembled {
            Err(message) => {
                findings.push(about(
                    Severity::Error,
                    format!("machines[{index}]"),
                    message,
                ));
            }
            Ok(line) if line.framings.len() != machine.ports.len() => {
                let message = format!(
                    "adapter {} listens to {} ports, {} given",
                    machine.adapter,
                    line.framings.len(),
                    machine.ports.len()
                );
                findings.push(about(
                    Severity::Error,
                    format!("machines[{index}].port"),
                    message,
                ));
            }
            Ok(_) => {}
        }
    }
    findings
}

fn ports(settings: &Settings, about: &About<'_>, findings: &mut Vec<Finding>) {
    for (index, machine) in settings.machines.iter().enumerate() {
        for port in machine.ports.iter().filter(|port| port.starts_with('/')) {
            if !Path::new(port).exists() {
                let message = format!(
                    "{port} isn't there; the gateway waits for it (`retrotap ports` lists what is)"
                );
                findings.push(about(
                    Severity::Warning,
                    format!("machines[{index}].port"),
                    message,
                ));
            }
        }
    }
}

fn certificates(settings: &Settings, about: &About<'_>, findings: &mut Vec<Finding>) {
    let page = settings.web.as_ref().and_then(|web| web.tls.as_ref());
    if let Some(files) = page {
        ends("web.tls.cert", "cert", &files.cert, about, findings);
    }
    let Some(files) = settings
        .uplink
        .as_ref()
        .and_then(|uplink| uplink.tls.as_ref())
    else {
        return;
    };
    if let Err(error) = tls::client_config(files) {
        findings.push(about(
            Severity::Error,
            "uplink.mqtt".into(),
            error.to_string(),
        ));
        return;
    }
    let mut all = vec![("ca", &files.ca)];
    all.extend(
        files
            .client
            .as_ref()
            .map(|client| ("client_cert", &client.cert)),
    );
    for (what, path) in all {
        ends(&format!("uplink.mqtt.{what}"), what, path, about, findings);
    }
}

/// What is to be said of the time for which the certificates of a file are valid.
fn ends(at: &str, what: &'static str, path: &Path, about: &About<'_>, findings: &mut Vec<Finding>) {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        });
    for certificate in tls::certificates(what, path).unwrap_or_default() {
        let at = at.to_owned();
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(&certificate) else {
            let message = format!("a certificate in {} can't be read", path.display());
            findings.push(about(Severity::Error, at, message));
            continue;
        };
        let valid = (
            parsed.validity().not_before.timestamp(),
            parsed.validity().not_after.timestamp(),
        );
        if let Some((severity, fault)) = validity(valid, now_s) {
            let message = format!("{} ({}) {fault}", path.display(), parsed.subject());
            findings.push(about(severity, at, message));
        }
    }
}

/// What is to be said of a certificate that is valid from and until these Unix seconds.
fn validity((from_s, until_s): (i64, i64), now_s: i64) -> Option<(Severity, String)> {
    let date = |unix_s: i64| {
        rfc3339(unix_s.saturating_mul(NS_PER_S))
            .chars()
            .take("2026-11-20".len())
            .collect::<String>()
    };
    if now_s > until_s {
        return Some((
            Severity::Error,
            format!("has expired on {}: renew it", date(until_s)),
        ));
    }
    if now_s < from_s {
        let message = format!(
            "isn't valid before {}, and it is {} here: is the clock right?",
            date(from_s),
            date(now_s)
        );
        return Some((Severity::Error, message));
    }
    let days = (until_s - now_s) / 86_400;
    (days < RENEW_WITHIN_DAYS).then(|| {
        (
            Severity::Warning,
            format!("expires on {}, in {days} days: renew it", date(until_s)),
        )
    })
}

fn text(found: &Finding) -> String {
    let severity = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = found.file.clone();
    if let (Some(line), Some(column)) = (found.line, found.column) {
        text += &format!(":{line}:{column}");
    }
    text += &format!(": {severity}: ");
    if !found.path.is_empty() {
        text += &format!("{}: ", found.path);
    }
    text += &found.message;
    if let Some(expected) = &found.expected {
        text += &format!("\n  expected: {expected}");
    }
    if let Some(suggestion) = &found.suggestion {
        text += &format!("\n  {suggestion}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_told_before_they_end() {
        const DAY: i64 = 86_400;
        let valid = (100 * DAY, 200 * DAY);
        let said = |now_s| validity(valid, now_s).map(|(severity, _)| severity);
        assert_eq!(said(99 * DAY), Some(Severity::Error));
        assert_eq!(said(150 * DAY), None);
        assert_eq!(said(171 * DAY), Some(Severity::Warning));
        assert_eq!(said(201 * DAY), Some(Severity::Error));
        let text = validity(valid, 201 * DAY)
            .map(|(_, text)| text)
            .unwrap_or_default();
        assert_eq!(text, "has expired on 1970-07-20: renew it");
    }
}

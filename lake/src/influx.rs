//! InfluxDB's v2 API over HTTP: writing, and what its answers mean.
//!
//! Answers are told apart by who acts. Later: the server is busy or away, and the same write will do.
//! Content: this write won't ever do, and a part of it may. Person: a permission, a name or an
//! address is wrong; nothing is skipped for that.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url};

use crate::limits::{
    ANSWER_BYTES_MAX, CONNECT_TIMEOUT, REASON_CHARS_MAX, RETRY_AFTER_MAX, WRITE_TIMEOUT,
};

/// Where the database is, and how to be let in.
#[derive(Clone)]
pub struct Settings {
    /// `http://host:port` or `https://…`.
    pub url: Url,
    /// CAs that may have signed its certificate; needed for https.
    pub ca: Option<PathBuf>,
    /// The organisation.
    pub org: String,
    /// The bucket.
    pub bucket: String,
    /// A file with the token.
    pub token_file: PathBuf,
    /// Whether what is written is compressed.
    pub gzip: bool,
}

/// Why a client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file can't be read.
    #[error("{what} {path} can't be read: {source}")]
    Unreadable {
        /// Which.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The token's file is empty or holds more than a token.
    #[error("--token-file {0} must hold a token and nothing else")]
    Token(PathBuf),
    /// https without a CA.
    #[error("--influx-url is https: give the CA of the database's certificate with --influx-ca")]
    NoCa,
    /// The CA can't be used.
    #[error("--influx-ca {0} holds no certificate in PEM form")]
    Ca(PathBuf),
    /// The HTTP library refuses.
    #[error("HTTP can't be set up: {0}")]
    Setup(#[from] reqwest::Error),
}

/// A client of one bucket. Cloning shares its connections.
#[derive(Clone)]
pub struct Influx {
    http: Client,
    settings: Settings,
    authorization: String,
    write: Url,
}

impl fmt::Debug for Influx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the token.
        f.debug_struct("Influx")
            .field("url", &self.settings.url.as_str())
            .field("org", &self.settings.org)
            .field("bucket", &self.settings.bucket)
            .finish_non_exhaustive()
    }
}

/// Why a request wasn't done, by who acts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The same will do later.
    #[error("{why}")]
    Later {
        /// What it is counted as.
        cause: &'static str,
        /// In words.
        why: String,
        /// How long the server asks to wait.
        after: Option<Duration>,
    },
    /// The server won't ever take this content.
    #[error("{why}")]
    Content {
        /// What it is counted as.
        cause: &'static str,
        /// The server's reason.
        why: String,
    },
    /// Somebody has to change something.
    #[error("{why}")]
    Person {
        /// What it is counted as.
        cause: &'static str,
        /// What, in words.
        why: String,
    },
}

impl Influx {
    /// A client.
    ///
    /// # Errors
    ///
    /// A file can't be used.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let token = token(&settings.token_file)?;
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(WRITE_TIMEOUT)
            .tcp_nodelay(true)
            // A server that sends us elsewhere is a wrong address: the token is not for others.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("retrotap-lake/", env!("CARGO_PKG_VERSION")));
        if settings.url.scheme() == "https" {
            let path = settings.ca.as_ref().ok_or(SettingsError::NoCa)?;
            let pem = read("--influx-ca", path)?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or_else(|| SettingsError::Ca(path.clone()))?;
            for authority in authorities {
                builder = builder.add_root_certificate(authority);
            }
        }
        let mut write = api(&settings.url, "write");
        write
            .query_pairs_mut()
            .append_pair("org", &settings.org)
            .append_pair("bucket", &settings.bucket)
            .append_pair("precision", "ns");
        Ok(Self {
            http: builder.build()?,
            authorization: format!("Token {token}"),
            settings,
            write,
        })
    }

    /// The organisation.
    pub fn org(&self) -> &str {
        &self.settings.org
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    /// Writes lines, once.
    ///
    /// # Errors
    ///
    /// What the server has against it, or that it can't be reached.
    pub async fn write(&self, lines: &[u8]) -> Result<(), Failure> {
        let mut request = self
            .http
            .post(self.write.clone())
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8");
        request = if self.settings.gzip {
            request.header(CONTENT_ENCODING, "gzip").body(gzip(lines))
        } else {
            request.body(lines.to_vec())
        };
        self.answer(request).await.map(|_| ())
    }

    /// Asks the API for something, with a JSON body where there is one; answers the body.
    ///
    /// # Errors
    ///
    /// What the server has against it, or that it can't be reached.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<String, Failure> {
        let mut url = api(&self.settings.url, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self
            .http
            .request(method, url)
            .header(AUTHORIZATION, &self.authorization);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        self.answer(request).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<String, Failure> {
        let unreachable = |error: reqwest::Error| Failure::Later {
            cause: if error.is_timeout() {
                "timeout"
            } else {
                "network"
            },
            why: format!("{} can't be reached: {}", self.settings.url, chain(&error)),
            after: None,
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(retry_after);
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(unreachable)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                break;
            }
            body.extend_from_slice(&part);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        judge(status, after, &body, &self.settings)?;
        Ok(body)
    }
}

/// InfluxDB's API, "POST /api/v2/write", responses.
fn judge(
    status: StatusCode,
    after: Option<Duration>,
    body: &str,
    settings: &Settings,
) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let said = reason(body);
    let code = status.as_u16();
    let (url, org, bucket) = (&settings.url, &settings.org, &settings.bucket);
    Err(match code {
        400 => Failure::Content {
            cause: "database_400",
            why: said,
        },
        413 => Failure::Content {
            cause: "database_413",
            why: said,
        },
        422 => Failure::Content {
            cause: "database_422",
            why: said,
        },
        401 => Failure::Person {
            cause: "unauthorized",
            why: format!(
                "{url} doesn't accept the token in {} (401: {said}): put a valid one there and start \
                 again",
                settings.token_file.display()
            ),
        },
        403 => Failure::Person {
            cause: "forbidden",
            why: format!(
                "{url} doesn't let this token write to bucket {bucket} (403: {said}): give it that \
                 permission"
            ),
        },
        404 => Failure::Person {
            cause: "not_found",
            why: format!(
                "{url} knows no organisation {org} or no bucket {bucket} (404: {said}): correct --org \
                 and --bucket, or let --create-buckets make it"
            ),
        },
        408 | 429 | 500..=599 => Failure::Later {
            cause: match code {
                429 => "too_many_requests",
                503 => "unavailable",
                _ => "server",
            },
            why: format!("{url} can't take it at present ({code}: {said})"),
            after,
        },
        _ => Failure::Person {
            cause: "answer",
            why: format!("{url} answers {code} ({said}): is it an InfluxDB with the v2 API?"),
        },
    })
}

/// The sentence in an answer: `{"code":…,"message":…}`, or whatever it is.
fn reason(body: &str) -> String {
    let message = serde_json::from_str::<serde_json::Value>(body)
        .ok()
        .and_then(|json| {
            ["message", "error"]
                .iter()
                .find_map(|key| json.get(key)?.as_str().map(str::to_owned))
        });
    let text = message.unwrap_or_else(|| body.trim().to_owned());
    if text.is_empty() {
        return "without a reason".to_owned();
    }
    text.chars().take(REASON_CHARS_MAX).collect()
}

/// Seconds; the other form, a date, isn't used by InfluxDB.
fn retry_after(value: &str) -> Option<Duration> {
    let seconds = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// What went wrong, with what it came from: reqwest's own words say only that something did.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn gzip(lines: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::fast());
    // Writing to memory can't fail.
    let _ = encoder.write_all(lines);
    encoder.finish().unwrap_or_default()
}

fn api(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/api/v2/{path}"));
    url
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|source| SettingsError::Unreadable {
        what,
        path: path.to_owned(),
        source,
    })
}

fn token(path: &Path) -> Result<String, SettingsError> {
    let bytes = read("--token-file", path)?;
    let wrong = || SettingsError::Token(path.to_owned());
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let token = text.trim();
    if token.is_empty() || token.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong());
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn settings() -> Settings {
        Settings {
            url: Url::parse("http://127.0.0.1:8086/db/").expect("a URL"),
            ca: None,
            org: "plant".into(),
            bucket: "records".into(),
            token_file: "token".into(),
            gzip: true,
        }
    }

    fn judged(code: u16, body: &str) -> Result<(), Failure> {
        let status = StatusCode::from_u16(code).expect("a status");
        judge(status, Some(Duration::from_secs(3)), body, &settings())
    }

    #[test]
    fn answers_are_told_apart_by_who_acts() {
        for code in [200, 204] {
            assert_eq!(judged(code, ""), Ok(()));
        }
        for code in [400, 413, 422] {
            assert!(
                matches!(judged(code, ""), Err(Failure::Content { .. })),
                "{code}"
            );
        }
        for code in [408, 429, 500, 502, 503, 504] {
            let after = Some(Duration::from_secs(3));
            assert!(
                matches!(judged(code, ""), Err(Failure::Later { after: a, .. }) if a == after),
                "{code}"
            );
        }
        for code in [301, 401, 403, 404, 405, 418] {
            assert!(
                matches!(judged(code, ""), Err(Failure::Person { .. })),
                "{code}"
            );
        }
    }

    #[test]
    fn the_reason_is_the_servers() {
        let body = r#"{"code":"invalid","message":"unable to parse 'x': missing fields"}"#;
        assert_eq!(
            judged(400, body),
            Err(Failure::Content {
                cause: "database_400",
                why: "unable to parse 'x': missing fields".into()
            })
        );
        assert_eq!(reason(" plain "), "plain");
        assert_eq!(reason(""), "without a reason");
        assert_eq!(reason(&"x".repeat(10_000)).len(), REASON_CHARS_MAX);
    }

    #[test]
    fn retry_after_is_seconds_and_bounded() {
        assert_eq!(retry_after("30"), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("0"), Some(Duration::ZERO));
        assert_eq!(retry_after("999999999"), Some(RETRY_AFTER_MAX));
        for other in ["", "-1", "1.5", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(retry_after(other), None, "{other}");
        }
    }

    #[test]
    fn a_base_path_is_kept() {
        assert_eq!(
            api(&settings().url, "write").as_str(),
            "http://127.0.0.1:8086/db/api/v2/write"
        );
    }

    #[test]
    fn what_is_compressed_reads_back() {
        let lines = b"a b=1 1\n".repeat(1000);
        let packed = gzip(&lines);
        assert!(packed.len() < lines.len() / 10);
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut back)
            .expect("gzip");
        assert_eq!(back, lines);
    }
}

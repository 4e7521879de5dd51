//! The routes of logins, users, tokens and the audit log.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::{AccountsError, Role, Scope, User};
use super::audit::{self, Entry};
use super::{Access, Pass, Peer, Who, secrets, set_cookie};
use crate::config::limits::{AUDIT_DEFAULT, AUDIT_ENTRIES_MAX};
use crate::web::answer;
use crate::web::problem::Problem;

/// What handlers answer.
type Answer = Result<Response, Problem>;

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnswer {
    /// Whether there is an admin; until then everybody on this computer may look.
    claimed: bool,
    /// Who; absent where nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// What they may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    /// What changes have to be asked with, in the header `X-CSRF-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

/// Who is logged in.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    tag = "access",
    responses((status = 200, description = "Who the cookie belongs to, if anybody.", body = SessionAnswer))
)]
pub async fn session(State(access): State<Arc<Access>>, request: Request) -> Response {
    let who = access.who(request.headers());
    let (user, role, csrf) = match who {
        Who::User {
            name, role, csrf, ..
        } => (Some(name), Some(role), Some(csrf)),
        Who::Nobody { .. } | Who::Program { .. } => (None, None, None),
    };
    answer::json(&SessionAnswer {
        claimed: access.is_claimed(),
        user,
        role,
        csrf,
    })
}

/// A user's name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    user: String,
    password: String,
}

/// Logs in.
#[utoipa::path(
    post,
    path = "/api/v1/session",
    tag = "access",
    request_body = Login,
    responses(
        (status = 200, description = "The session's cookie is set.", body = SessionAnswer),
        (status = 401, description = "User or password are wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts from this address; Retry-After says when the next one may come.", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn log_in(State(access): State<Arc<Access>>, request: Request) -> Answer {
    let from = Peer::of(&request);
    let Login { user, password } = answer::body(request).await?;
    if let Err(wait) = access.attempts.take(from, Instant::now()) {
        return Ok(too_many(wait));
    }
    let known = access.accounts.book().user(&user).cloned();
    let kept = known.as_ref().map(|known| known.password.clone());
    let is_right = with_password(&access, move |access| {
        let kept = kept.as_deref().unwrap_or_else(|| access.decoy());
        secrets::is_password(&password, kept)
    })
    .await?;
    let Some(known) = known.filter(|_| is_right) else {
        let tried: String = user.chars().take(64).collect();
        note(&access, &tried, from, "login_refused", &tried, None, None).await?;
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "User or password are wrong.",
        ));
    };
    access.attempts.forgive(from);
    note(&access, &user, from, "logged_in", &user, None, None).await?;
    begin(&access, &known)
}

/// The code from the gateway's log, and who becomes admin by it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// As it stands in the log and on the terminal.
    #[schema(example = "K7QX-3MFD-9RTC")]
    code: String,
    user: String,
    password: String,
}

/// Makes the first admin.
#[utoipa::path(
    post,
    path = "/api/v1/claim",
    tag = "access",
    request_body = Claim,
    responses(
        (status = 200, description = "There is an admin, and the session's cookie is set.", body = SessionAnswer),
        (status = 403, description = "The code is wrong.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is an admin already.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Name or password can't be used.", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts from this address.", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn claim(State(access): State<Arc<Access>>, request: Request) -> Answer {
    let from = Peer::of(&request);
    let Claim {
        code,
        user,
        password,
    } = answer::body(request).await?;
    if let Err(wait) = access.attempts.take(from, Instant::now()) {
        return Ok(too_many(wait));
    }
    if !access.is_claimed() && !access.is_code(&code) {
        note(&access, "", from, "claim_refused", &user, None, None).await?;
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "The code is wrong. The gateway's log has it, a new one after each start.",
        ));
    }
    let added = with_password(&access, {
        let user = user.clone();
        move |access| {
            access.accounts.change(|book| {
                // Under the file's lock: of two who claim at once one comes first.
                if book.is_claimed() {
                    return Err(AccountsError::Exists(String::new()));
                }
                book.add_user(&user, Role::Admin, &password, audit::now())?;
                Ok(book.user(&user).cloned())
            })
        }
    })
    .await?;
    let added = match added {
        Err(AccountsError::Exists(name)) if name.is_empty() => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "This gateway has an admin already; log in.",
            ));
        }
        added => added.map_err(Problem::from)?,
    };
    access.attempts.forgive(from);
    let now = serde_json::json!({"role": Role::Admin});
    note(&access, &user, from, "claimed", &user, None, Some(now)).await?;
    match added {
        Some(user) => begin(&access, &user),
        None => Err(AccountsError::Unknown {
            what: "user",
            name: user,
        }
        .into()),
    }
}

/// Logs out.
#[utoipa::path(
    delete,
    path = "/api/v1/session",
    tag = "access",
    responses((status = 204, description = "The session has ended."))
)]
pub async fn log_out(
    State(access): State<Arc<Access>>,
    Extension(pass): Extension<Pass>,
) -> Response {
    if let Who::User { cookie, .. } = pass.who {
        access.sessions.end(cookie);
    }
    let gone = [(header::SET_COOKIE, set_cookie("", Duration::ZERO))];
    (StatusCode::NO_CONTENT, gone).into_response()
}

/// A user, without what is kept of the password.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAnswer {
    user: String,
    role: Role,
    /// When they were added.
    #[schema(format = DateTime)]
    since: String,
}

/// All users.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsersAnswer {
    users: Vec<UserAnswer>,
}

/// Who there is.
#[utoipa::path(
    get,
    path = "/api/v1/users",
    tag = "access",
    responses((status = 200, description = "All users.", body = UsersAnswer))
)]
pub async fn users(State(access): State<Arc<Access>>) -> Response {
    let book = access.accounts.book();
    let users = book.users.iter().map(|user| UserAnswer {
        user: user.name.clone(),
        role: user.role,
        since: user.since.clone(),
    });
    answer::json(&UsersAnswer {
        users: users.collect(),
    })
}

/// A user to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    user: String,
    password: String,
    role: Role,
}

/// Adds a user.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    tag = "access",
    request_body = NewUser,
    responses(
        (status = 201, description = "They can log in."),
        (status = 409, description = "There is one of that name.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Name or password can't be used.", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn add_user(
    State(access): State<Arc<Access>>,
    Extension(pass): Extension<Pass>,
    request: Request,
) -> Answer {
    let from = Peer::of(&request);
    let NewUser {
        user,
        password,
        role,
    } = answer::body(request).await?;
    let name = user.clone();
    with_password(&access, move |access| {
        access
            .accounts
            .change(|book| book.add_user(&name, role, &password, audit::now()))
    })
    .await?
    .map_err(Problem::from)?;
    let now = serde_json::json!({"role": role});
    let who = pass.who.named();
    note(&access, &who, from, "user_added", &user, None, Some(now)).await?;
    Ok(StatusCode::CREATED.into_response())
}

/// Removes a user.
#[utoipa::path(
    delete,
    path = "/api/v1/users/{name}",
    tag = "access",
    params(("name" = String, Path, description = "The user's name.")),
    responses(
        (status = 204, description = "They are gone, and so are their sessions."),
        (status = 404, description = "There is none of that name.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is the last admin.", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn remove_user(
    State(access): State<Arc<Access>>,
    Extension(pass): Extension<Pass>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let from = Peer::of(&request);
    let removed = blocking(&access, {
        let name = name.clone();
        move |access| access.accounts.change(|book| book.remove_user(&name))
    })
    .await?
    .map_err(Problem::from)?;
    let was = serde_json::json!({"role": removed.role});
    let who = pass.who.named();
    note(&access, &who, from, "user_removed", &name, Some(was), None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A token, without the part that may not be shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAnswer {
    id: String,
    /// What it is for.
    name: String,
    scopes: Vec<Scope>,
    made_by: String,
    /// When it was made.
    #[schema(format = DateTime)]
    since: String,
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokensAnswer {
    tokens: Vec<TokenAnswer>,
}

/// Which tokens there are.
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "access",
    responses((status = 200, description = "All tokens.", body = TokensAnswer))
)]
pub async fn tokens(State(access): State<Arc<Access>>) -> Response {
    let book = access.accounts.book();
    let tokens = book.tokens.iter().map(|token| TokenAnswer {
        id: token.id.clone(),
        name: token.name.clone(),
        scopes: token.scopes.clone(),
        made_by: token.made_by.clone(),
        since: token.since.clone(),
    });
    answer::json(&TokensAnswer {
        tokens: tokens.collect(),
    })
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(example = "lidar-1")]
    name: String,
    scopes: Vec<Scope>,
}

/// A token, this once.
#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    id: String,
    /// For the header `Authorization: Bearer …`. It can't be shown again.
    token: String,
}

/// Makes a token for a program.
#[utoipa::path(
    post,
    path = "/api/v1/tokens",
    tag = "access",
    request_body = NewToken,
    responses(
        (status = 201, description = "The token, this once.", body = MadeToken),
        (status = 422, description = "Name or scopes can't be used.", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn add_token(
    State(access): State<Arc<Access>>,
    Extension(pass): Extension<Pass>,
    request: Request,
) -> Answer {
    let from = Peer::of(&request);
    let NewToken { name, scopes } = answer::body(request).await?;
    let who = pass.who.named();
    let (made, shown) = blocking(&access, {
        let who = who.clone();
        move |access| {
            access
                .accounts
                .change(|book| book.add_token(&name, &scopes, &who, audit::now()))
        }
    })
    .await?
    .map_err(Problem::from)?;
    let now = serde_json::json!({"name": made.name, "scopes": made.scopes});
    note(
        &access,
        &who,
        from,
        "token_added",
        &made.id,
        None,
        Some(now),
    )
    .await?;
    let made = MadeToken {
        id: made.id,
        token: shown,
    };
    Ok((StatusCode::CREATED, answer::json(&made)).into_response())
}

/// Takes a token back.
#[utoipa::path(
    delete,
    path = "/api/v1/tokens/{id}",
    tag = "access",
    params(("id" = String, Path, description = "The token's id.")),
    responses(
        (status = 204, description = "It is worth nothing from now on."),
        (status = 404, description = "There is none of that id.", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn remove_token(
    State(access): State<Arc<Access>>,
    Extension(pass): Extension<Pass>,
    Path(id): Path<String>,
    request: Request,
) -> Answer {
    let from = Peer::of(&request);
    let removed = blocking(&access, {
        let id = id.clone();
        move |access| access.accounts.change(|book| book.remove_token(&id))
    })
    .await?
    .map_err(Problem::from)?;
    let was = serde_json::json!({"name": removed.name, "scopes": removed.scopes});
    let who = pass.who.named();
    note(&access, &who, from, "token_removed", &id, Some(was), None).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What the log is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Question {
    /// So many lines at most, the newest ones; 100 unless said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Lines of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditAnswer {
    /// Oldest first.
    entries: Vec<Entry>,
}

/// Who changed what.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "access",
    params(Question),
    responses((status = 200, description = "The newest lines of the audit log.", body = AuditAnswer))
)]
pub async fn audit_log(State(access): State<Arc<Access>>, uri: Uri) -> Answer {
    let asked: Question = answer::query(&uri)?;
    let limit = asked.limit.unwrap_or(AUDIT_DEFAULT);
    if !(1..=AUDIT_ENTRIES_MAX).contains(&limit) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("`limit` is {limit}, possible is 1 to {AUDIT_ENTRIES_MAX}."),
        ));
    }
    let entries = blocking(&access, move |access| access.audit.newest(limit))
        .await?
        .map_err(|error| internal("the audit log can't be read", &error))?;
    Ok(answer::json(&AuditAnswer { entries }))
}

/// Begins a session and answers with its cookie.
fn begin(access: &Access, user: &User) -> Answer {
    let lasts = access.lasts(user.role);
    let (cookie, session) = access
        .sessions
        .begin(user, Instant::now(), lasts)
        .map_err(|error| internal("no session can be begun", &error))?;
    let set = [(header::SET_COOKIE, set_cookie(&cookie, lasts))];
    let answer = answer::json(&SessionAnswer {
        claimed: access.is_claimed(),
        user: Some(session.user),
        role: Some(user.role),
        csrf: Some(session.csrf),
    });
    Ok((set, answer).into_response())
}

fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let refused = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!("Too many attempts from this address; the next one in {seconds} s."),
    );
    ([(header::RETRY_AFTER, seconds.to_string())], refused).into_response()
}

/// Work that takes a core for a while: only so many at once.
async fn with_password<T: Send + 'static>(
    access: &Arc<Access>,
    work: impl FnOnce(&Access) -> T + Send + 'static,
) -> Result<T, Problem> {
    // It is never closed.
    let _place = access.passwords.acquire().await;
    blocking(access, work).await
}

/// Work that waits for a disk.
async fn blocking<T: Send + 'static>(
    access: &Arc<Access>,
    work: impl FnOnce(&Access) -> T + Send + 'static,
) -> Result<T, Problem> {
    let access = Arc::clone(access);
    tokio::task::spawn_blocking(move || work(&access))
        .await
        .map_err(|error| internal("work was given up", &error))
}

/// Writes it down before it is answered.
pub async fn note(
    access: &Arc<Access>,
    who: &str,
    from: IpAddr,
    action: &str,
    what: &str,
    was: Option<serde_json::Value>,
    now: Option<serde_json::Value>,
) -> Result<(), Problem> {
    let entry = Entry {
        t: audit::now(),
        who: who.to_owned(),
        from: from.to_canonical().to_string(),
        action: action.to_owned(),
        what: what.to_owned(),
        was: was.unwrap_or_default(),
        now: now.unwrap_or_default(),
    };
    tracing::info!(who, %from, action, what, "audit");
    blocking(access, move |access| access.audit.put(&entry))
        .await?
        .map_err(|error| internal("it is done, but can't be written to the audit log", &error))
}

fn internal(what: &str, error: &dyn std::error::Error) -> Problem {
    tracing::error!("{what}: {error}");
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("{what}: {error}."),
    )
}

impl From<AccountsError> for Problem {
    fn from(error: AccountsError) -> Self {
        let status = match &error {
            AccountsError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            AccountsError::Exists(_) | AccountsError::LastAdmin(_) => StatusCode::CONFLICT,
            AccountsError::Unknown { .. } => StatusCode::NOT_FOUND,
            AccountsError::Io { .. } | AccountsError::Damaged { .. } => {
                return internal("users can't be changed", &error);
            }
        };
        Self::new(status, error.to_string())
    }
}

//! A folder into which modules are put to be deployed: `<machine>/<stage>.wasm`.
//!
//! It is looked into every two seconds, which needs nothing of the file system: it may be a share of
//! another computer. A file is taken once it looks the same twice, so that one that is still being copied
//! is left alone; a name that only appears when the file is whole (`mv`) is better all the same. What is
//! taken is removed; what is refused is renamed to `<stage>.wasm.refused`, with the reason beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use super::modules::Modules;
use crate::config::limits::{MODULE_BYTES_MAX, MODULE_FOLDER_FILES_MAX, MODULE_FOLDER_LOOK_EVERY};
use crate::modules::catalog::read_limited;
use crate::web::modules::Place;

/// How a file looked: its size and when it was changed.
type Look = (u64, Option<SystemTime>);

/// Takes what is put into `folder` until it is stopped.
pub(super) async fn watch(modules: Arc<Modules>, folder: PathBuf, stop: CancellationToken) {
    let mut seen: BTreeMap<PathBuf, Look> = BTreeMap::new();
    let mut every = tokio::time::interval(MODULE_FOLDER_LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = stop.cancelled() => return,
        }
        let looked = folder.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || look(&looked)).await else {
            continue;
        };
        for (path, at) in &now {
            if seen.get(path) == Some(at) {
                take(&modules, path).await;
            }
        }
        seen = now;
    }
}

/// The modules in the folders of machines.
fn look(folder: &Path) -> BTreeMap<PathBuf, Look> {
    let entries = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.path()))
    };
    entries(folder)
        .flat_map(|machine| entries(&machine).collect::<Vec<_>>())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "wasm")
        })
        .filter_map(|path| {
            let found = std::fs::metadata(&path)
                .ok()
                .filter(|found| found.is_file())?;
            Some((path, (found.len(), found.modified().ok())))
        })
        .take(MODULE_FOLDER_FILES_MAX)
        .collect()
}

async fn take(modules: &Arc<Modules>, path: &Path) {
    let name =
        |path: Option<&std::ffi::OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    let place = Place {
        machine: name(path.parent().and_then(Path::file_name)),
        stage: name(path.file_stem()),
        by: "folder".to_owned(),
        from: String::new(),
    };
    let deployed = match read_limited(path, MODULE_BYTES_MAX) {
        Ok(bytes) => modules
            .deploy(place, bytes, None, None)
            .await
            .map_err(|refusal| refusal.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let done = match deployed {
        Ok(_) => std::fs::remove_file(path),
        Err(why) => {
            tracing::warn!(file = %path.display(), why, "a module is refused");
            let refused = path.with_extension("wasm.refused");
            std::fs::write(path.with_extension("wasm.why"), format!("{why}\n"))
                .and_then(|()| std::fs::rename(path, refused))
        }
    };
    if let Err(error) = done {
        tracing::warn!(file = %path.display(), %error, "the file could not be moved out of the way");
    }
}

//! A small disk of its own for a spool, to be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts one at `path`, which is made. `None` where this user may not mount.
    ///
    /// # Panics
    ///
    /// The folder can't be made.
    pub fn mount(path: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(path).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self {
            path: path.to_owned(),
        })
    }

    /// Takes all the room there is.
    ///
    /// # Panics
    ///
    /// It fails for another reason than that the disk is full.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("a file");
        // Down to the last page, which a smaller write could still take.
        let mut block = vec![0; 64 * 1024];
        while !block.is_empty() {
            match file.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    block.truncate(block.len() / 2);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        let _ = std::fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_and_a_freed_one_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(disk) = Disk::mount(&folder.path().join("disk"), 1) else {
            eprintln!("skipped: mounting needs root");
            return;
        };
        let file = folder.path().join("disk/file");
        std::fs::write(&file, [7; 4096]).expect("room");
        disk.fill();
        let more = std::fs::write(folder.path().join("disk/more"), [7; 4096]);
        assert_eq!(
            more.expect_err("full").kind(),
            std::io::ErrorKind::StorageFull
        );
        disk.free();
        std::fs::write(&file, [7; 8192]).expect("room again");
    }
}

//! Temporary folders: removed on drop, or by a later run if the process was killed before that.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process};

use rustix::process::{Pid, test_kill_process};

use crate::error::{Error, ErrorKind};

const PREFIX: &str = "autobus-testkit-";

/// A folder of this process alone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        static SWEPT: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let base = std::env::temp_dir();
        SWEPT.call_once(|| sweep(&base));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("{PREFIX}{}-{number}-{name}", process::id()));
        fs::create_dir_all(&path).map_err(|error| {
            let message = format!("the folder `{}` cannot be made", path.display());
            Error::because(ErrorKind::Io, message, error)
        })?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, making the folders above it.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(file);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| {
                let message = format!("`{}` cannot be written", path.display());
                Error::because(ErrorKind::Io, message, error)
            })?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is swept by a later run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of processes that are gone.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner);
        if owner.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process in the name of a folder.
fn owner(name: &str) -> Option<Pid> {
    Pid::from_raw(name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lasts_as_long_as_its_handle() {
        let folder = Folder::new("test").unwrap();
        let file = folder.write("a/b", "text").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "text");
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_folders_of_killed_processes_are_swept_and_others_stay() {
        let base = Folder::new("sweep").unwrap();
        let mut child = process::Command::new("true").spawn().unwrap();
        let gone = base.path().join(format!("{PREFIX}{}-0-n", child.id()));
        let mine = base.path().join(format!("{PREFIX}{}-0-n", process::id()));
        let other = base.path().join("other");
        for folder in [&gone, &mine, &other] {
            fs::create_dir(folder).unwrap();
        }
        child.wait().unwrap();
        sweep(base.path());
        assert_eq!([gone.exists(), mine.exists(), other.exists()], [false, true, true]);
    }
}

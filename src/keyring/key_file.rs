//! The file that holds the key-encryption key of an embedded installation: one key, or two while it is being changed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::kek::{KekError, KeyEncryptionKey};
use crate::clock::Timestamp;
use crate::model::secret::new_id;

/// Longer than any file that could hold two keys: what else the path names is not read into memory.
const MAX_FILE_BYTES: usize = 1024;

/// How the name of a file begins that is not yet, or no more, the one at the path.
const TEMPORARY: &str = ".master-key-";

impl KeyEncryptionKey {
    /// The key from the file at `path`: its first line; a second line holds a key that only opens. If there is no such file, makes a new
    /// key and writes it there with mode 0600 (missing folders are made with mode 0700). An existing file is never changed. If two
    /// processes start at once, both get the same key.
    ///
    /// # Errors
    /// If group or others may read the file, if it holds no key, or if it can be neither read nor made.
    pub fn read_or_create(path: &Path) -> Result<Self, KekError> {
        let failed = |action| move |source| KekError::File { action, path: path.to_owned(), source };
        match File::open(path) {
            Ok(file) => return Self::read(file, path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read")(error)),
        }
        create(path, &Self::random()).map_err(failed("create"))?;
        // Read back, since another process may have been first.
        Self::read(File::open(path).map_err(failed("read"))?, path)
    }

    fn read(file: File, path: &Path) -> Result<Self, KekError> {
        let failed = |source| KekError::File { action: "read", path: path.to_owned(), source };
        // Of the open file, so that what was checked is what is read.
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekError::Permissions { path: path.to_owned(), mode });
        }
        // Room for all of it: a string that grows leaves its old, unwiped copy behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES));
        file.take(MAX_FILE_BYTES as u64).read_to_string(&mut text).map_err(failed)?;
        let key = |line: Option<&str>| Self::from_base64url(line.unwrap_or_default());
        let mut lines = text.trim().lines();
        let read = match (key(lines.next()), lines.next(), lines.next()) {
            (Ok(current), None, None) => Ok(current),
            (Ok(current), second, None) => key(second).map(|accepted| current.accepting(accepted)),
            _ => Err(KekError::Encoding),
        };
        read.map_err(|_| KekError::FileContent { path: path.to_owned() })
    }

    /// The key as it stands in the file at `path` now.
    ///
    /// # Errors
    /// As `read_or_create`, and if there is no such file.
    pub fn read_again(path: &Path) -> Result<Self, KekError> {
        let file = File::open(path).map_err(|source| KekError::File { action: "read", path: path.to_owned(), source })?;
        Self::read(file, path)
    }

    /// Writes this key to the file at `path`, in place of the one that is there, for the same owner. The file is replaced as a whole: whenever
    /// the machine stops, there is the old one or the new one. Hold `lock_file` meanwhile.
    ///
    /// # Errors
    /// If there is no file, if it belongs to somebody else (and we are not root), or if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), KekError> {
        let folder = folder_of(path);
        let temporary = temporary_in(folder);
        let written = remove_leftovers(folder)
            .and_then(|()| write_new(&temporary, self.file_text().as_bytes()))
            // Root runs the command, and the service, which is somebody else, is to read the file.
            .and_then(|()| give_to_owner_of(path, &temporary))
            .and_then(|()| fs::rename(&temporary, path))
            .and_then(|()| File::open(folder)?.sync_all());
        written.map_err(|source| {
            let _ = fs::remove_file(&temporary);
            KekError::File { action: "write", path: path.to_owned(), source }
        })
    }

    /// Keeps other processes from changing the file at `path` for as long as the result is held. Reading it needs no lock.
    ///
    /// # Errors
    /// If another process changes it at this moment, or the folder cannot be locked.
    pub fn lock_file(path: &Path) -> Result<File, KekError> {
        let failed = |source| KekError::File { action: "lock the folder of", path: path.to_owned(), source };
        // The folder, since the file itself is replaced.
        let folder = File::open(folder_of(path)).map_err(failed)?;
        folder.try_lock().map_err(|error| failed(error.into()))?;
        Ok(folder)
    }

    /// When the file at `path` was last changed.
    ///
    /// # Errors
    /// If there is none.
    pub fn file_changed_at(path: &Path) -> Result<Timestamp, KekError> {
        let metadata = fs::metadata(path).map_err(|source| KekError::File { action: "read", path: path.to_owned(), source })?;
        Ok(Timestamp::from_seconds(metadata.mtime()))
    }

    fn file_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES));
        for key in [Some(self.alone()), self.swapped()].into_iter().flatten() {
            text.push_str(&key.to_base64url());
            text.push('\n');
        }
        text
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_in(folder: &Path) -> PathBuf {
    folder.join(format!("{TEMPORARY}{}", new_id()))
}

/// Removes what a process left that was stopped while it wrote: keys are in there, also those that are to be forgotten.
fn remove_leftovers(folder: &Path) -> std::io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.file_name().as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

fn give_to_owner_of(path: &Path, ours: &Path) -> std::io::Result<()> {
    let (owner, our) = (fs::metadata(path)?, fs::metadata(ours)?);
    match owner.uid() == our.uid() {
        true => Ok(()),
        false => chown(ours, Some(owner.uid()), Some(owner.gid())),
    }
}

/// Writes `key` under a temporary name and links it to `path`, so that a whole file appears there at once, and only if there was none.
fn create(path: &Path, key: &KeyEncryptionKey) -> std::io::Result<()> {
    let folder = folder_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = key.file_text();
    let temporary = temporary_in(folder);
    if let Err(error) = write_new(&temporary, text.as_bytes()) {
        // Half a file is of no use, and that it could not be written is what the operator needs to know.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    let linked = match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no hard links. Written in place, the file is still never overwritten.
        Err(_) => match write_new(path, text.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            written => written,
        },
        Ok(()) => Ok(()),
    };
    match fs::remove_file(&temporary) {
        // Somebody made the file and changes the key already.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed?,
    }
    linked?;
    // The name must survive a power failure before anything is sealed under the key.
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/keys/master.key");
        let first = KeyEncryptionKey::read_or_create(&path).unwrap();
        let content = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
        let second = KeyEncryptionKey::read_or_create(&path).unwrap();
        assert_eq!(*first.to_base64url(), *second.to_base64url());
        assert_eq!(fs::read(&path).unwrap(), content);
    }

    #[test]
    fn starting_together_gives_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/master.key");
        let start = std::sync::Barrier::new(8);
        let keys: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        KeyEncryptionKey::read_or_create(&path).unwrap().to_base64url().to_string()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn an_exposed_or_broken_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        KeyEncryptionKey::read_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = KeyEncryptionKey::read_or_create(&path).unwrap_err();
            assert!(matches!(error, KekError::Permissions { .. }) && error.to_string().contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let key = KeyEncryptionKey::random().to_base64url();
        let three = format!("{0}\n{0}\n{0}\n", *key);
        for broken in ["", "not a key", &"A".repeat(2000), &format!("{}\nnot a key", *key), &three] {
            fs::write(&path, broken).unwrap();
            assert!(matches!(KeyEncryptionKey::read_or_create(&path), Err(KekError::FileContent { .. })));
            assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        }
        assert!(matches!(
            KeyEncryptionKey::read_or_create(folder.path()),
            Err(KekError::File { .. } | KekError::Permissions { .. })
        ));
    }

    #[test]
    fn a_file_with_two_keys_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let old = KeyEncryptionKey::read_or_create(&path).unwrap();
        let both = KeyEncryptionKey::random().accepting(old);
        both.write(&path).unwrap();
        assert!(KeyEncryptionKey::read_or_create(&path).unwrap().is_same(&both));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        both.alone().write(&path).unwrap();
        assert!(KeyEncryptionKey::read_again(&path).unwrap().is_same(&both.alone()));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        fs::write(folder.path().join(".master-key-left"), "both keys, by a process that was stopped").unwrap();
        both.write(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nor one from before");
        let held = KeyEncryptionKey::lock_file(&path).unwrap();
        assert!(KeyEncryptionKey::lock_file(&path).is_err(), "one at a time");
        drop(held);
        KeyEncryptionKey::lock_file(&path).unwrap();
        assert!(both.write(&folder.path().join("missing/master.key")).is_err());
        assert!(KeyEncryptionKey::read_again(&folder.path().join("missing")).is_err(), "nothing is made");
    }

    /// The service is not who runs the command. Only root can bring this about; for anybody else the file is theirs before and after.
    #[test]
    fn a_file_keeps_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let key = KeyEncryptionKey::read_or_create(&path).unwrap();
        let ours = fs::metadata(&path).unwrap().uid();
        let given = chown(&path, Some(65_534), Some(65_534));
        assert_eq!(given.is_ok(), ours == 0, "{given:?}");
        let before = fs::metadata(&path).unwrap();
        key.write(&path).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_ne!(after.ino(), before.ino(), "it was replaced");
        assert_eq!((after.uid(), after.gid(), after.mode() & 0o777), (before.uid(), before.gid(), 0o600));
    }
}

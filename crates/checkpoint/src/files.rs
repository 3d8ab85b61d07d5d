//! Writing files so that a reader never sees half of one, and opening what can be read to an end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub use crate::error::WriteError;

/// Writes `content` to `path` whole or not at all: a reader, a crash or a full disk never leaves half.
///
/// # Errors
///
/// [`WriteError`], naming `path`; what stood there before is unchanged.
pub fn write_whole(path: impl AsRef<Path>, content: &[u8]) -> Result<(), WriteError> {
    write_atomically(path.as_ref(), |file| file.write_all(content))
}

/// Writes a file under a temporary name in the same folder, flushes it to the disk, then renames it;
/// to a device or a pipe it just writes.
///
/// `write` fills the file. When it fails, or anything after it, the temporary file is removed and
/// `path` is left as it was.
///
/// # Errors
///
/// [`WriteError`], naming `path`.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    try_write(path, write).map_err(|source| WriteError { path: path.to_owned(), source })
}

fn try_write(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    if path.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"));
    }
    let resolved;
    let path = match std::fs::metadata(path) {
        // A device or a pipe (/dev/stdout, say) is written to; it must not be replaced by a file.
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let mut device = File::options().write(true).open(path)?;
            let mut writer = BufWriter::new(&mut device);
            write(&mut writer)?;
            return writer.flush();
        }
        // A link to a file stays a link.
        Ok(found) if found.is_file() && path.is_symlink() => {
            resolved = std::fs::canonicalize(path)?;
            &resolved
        }
        _ => path,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".retinanet-").suffix(".tmp");
    // The default is a private file; an output should follow the user's umask like any other.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut temporary = builder.tempfile_in(folder)?;
    let mut writer = BufWriter::new(temporary.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // The name's own durability; not every file system lets a folder be opened or flushed.
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

/// Opens a regular file for reading. A pipe or a device is refused: opening the one can wait for ever,
/// reading the other need not end.
///
/// # Errors
///
/// What the system says, or what the path is instead of a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Asked before opening: opening a pipe would wait for a writer.
    let found = std::fs::metadata(path)?;
    if found.is_file() {
        return File::open(path);
    }
    let what = if found.is_dir() { "a folder" } else { "a pipe or a device" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a regular file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        for content in [b"first".as_slice(), b"second"] {
            write_atomically(&path, |file| file.write_all(content)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
        assert_eq!(names(folder.path()), ["out.bin"]);
    }

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_no_half_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        std::fs::write(&path, b"old").unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(&[7; 100_000])?;
            Err(io::Error::other("no more ink"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("out.bin\": no more ink"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["out.bin"]);
    }

    #[test]
    fn errors_name_the_path_and_escape_it() {
        let error = write_atomically(Path::new("no such\u{1b}folder/out.png"), |_| Ok(()));
        let message = error.unwrap_err().to_string();
        assert!(message.contains(r#""no such\u{1b}folder/out.png""#), "{message}");
        assert!(message.contains("check that its folder exists"), "{message}");
        assert!(write_atomically(Path::new(".."), |_| Ok(())).is_err());
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.png");
        std::fs::create_dir(&path).unwrap();
        write_atomically(&path, |file| file.write_all(b"x")).unwrap_err();
        assert_eq!(names(folder.path()), ["out.png"]);
    }

    #[test]
    fn only_what_has_an_end_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &Path| open_regular(path).unwrap_err().to_string();
        assert_eq!(told(folder.path()), "it is a folder, not a regular file");
        #[cfg(unix)]
        assert_eq!(told(Path::new("/dev/zero")), "it is a pipe or a device, not a regular file");
        let file = folder.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        open_regular(&file).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_links_stay_what_they_are() {
        use std::os::unix::fs::FileTypeExt;
        write_whole("/dev/null", b"x").unwrap();
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());

        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn the_file_follows_the_umask_rather_than_being_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| folder.path().join(name));
        write_atomically(&ours, |file| file.write_all(b"x")).unwrap();
        std::fs::write(&plain, b"x").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}

//! Absolute paths, common folders and the way down from them.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The bytes that paths are ordered by.
pub(super) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The path from the root, without `.` and `..`. Links are resolved only where a `..` follows one: it
/// leads to the parent of the link's target.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    if !whole.components().any(|part| part == Component::ParentDir) {
        // `absolute` keeps a slash at the end.
        return Ok(whole.components().collect());
    }
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                // A folder that is not there has no links; the missing file shows when it is opened.
                plain = std::fs::canonicalize(&plain).unwrap_or(plain);
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    Ok(plain)
}

/// The deepest folder above all of `folders`, or one of them; `None` for none.
pub(super) fn common_folder(folders: &[PathBuf]) -> Option<PathBuf> {
    let (first, rest) = folders.split_first()?;
    let mut common: Vec<Component<'_>> = first.components().collect();
    for folder in rest {
        let shared = common.iter().zip(folder.components()).take_while(|(a, b)| *a == b).count();
        common.truncate(shared);
    }
    Some(common.iter().collect())
}

/// The way from `root` down to `file`; `None` if it is not below, or is not of plain names.
pub(super) fn relative_to(root: &Path, file: &Path) -> Option<PathBuf> {
    let relative = file.strip_prefix(root).ok()?;
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && relative.file_name().is_some()).then(|| relative.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_folder_goes_by_whole_names() {
        let common = |folders: &[&str]| {
            common_folder(&folders.iter().map(PathBuf::from).collect::<Vec<_>>())
        };
        assert_eq!(common(&["/a/bc", "/a/bd"]).unwrap(), Path::new("/a"));
        assert_eq!(common(&["/a/b", "/a/b/c", "/a/b"]).unwrap(), Path::new("/a/b"));
        assert_eq!(common(&["/a", "/b"]).unwrap(), Path::new("/"));
        assert_eq!(common(&[]), None);
    }

    #[test]
    fn dots_and_slashes_are_taken_out() {
        let here = std::env::current_dir().unwrap();
        for path in ["x/y", "./x//y", "x/./y/", "x/z/../y", "no such folder/../x/y"] {
            assert_eq!(absolute(Path::new(path)).unwrap(), here.join("x/y"), "{path}");
        }
        assert_eq!(absolute(Path::new("/..")).unwrap(), Path::new("/"));
    }

    #[test]
    #[cfg(unix)]
    fn two_dots_after_a_link_lead_to_its_targets_parent() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir_all(root.join("deep/target")).unwrap();
        std::os::unix::fs::symlink(root.join("deep/target"), root.join("link")).unwrap();
        assert_eq!(absolute(&root.join("link/../1.jpg")).unwrap(), root.join("deep/1.jpg"));
        assert_eq!(absolute(&root.join("link/1.jpg")).unwrap(), root.join("link/1.jpg"));
    }
}

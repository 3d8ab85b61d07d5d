//! The model hub's own cache, as other tools fill it.
//!
//! Its layout is written down in the Hub's documentation, on the page "Hub Local Cache", as a
//! reference for programs in any language:
//!
//! ```text
//! CACHE/models--OWNER--NAME/refs/BRANCH             a commit's 40 digits
//! CACHE/models--OWNER--NAME/snapshots/COMMIT/FILE   the file, often a link into blobs/
//! ```

use std::path::{Path, PathBuf};

/// Where `file` of a model's repository is, if it is there; `revision` is a branch, a tag or a commit.
pub(super) fn path_of(cache: &Path, repo: &str, revision: &str, file: &str) -> PathBuf {
    let repo = cache.join(format!("models--{}", repo.replace('/', "--")));
    let snapshot = |commit: &str| repo.join("snapshots").join(commit).join(file);
    // A branch or tag is looked up in `refs`; a commit is a snapshot's own name.
    let named = std::fs::read_to_string(repo.join("refs").join(revision)).unwrap_or_default();
    let commit = named.trim();
    let is_name = !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_name.then(|| snapshot(commit)).filter(|path| path.exists()) {
        Some(path) => path,
        None => snapshot(revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "2439f60ef33a0d46d85da5001d52aeda5b00ce9f";

    fn write(path: &Path, content: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    #[test]
    fn a_file_is_where_the_hub_s_documentation_puts_it() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("models--owner--some-name");
        let stored = repo.join("snapshots").join(COMMIT).join("model.safetensors");
        let of =
            |revision| path_of(folder.path(), "owner/some-name", revision, "model.safetensors");
        assert_eq!(of(COMMIT), stored, "whether it is there or not");
        write(&repo.join("refs/main"), COMMIT);
        write(&repo.join("refs/refs/pr/1"), COMMIT);
        assert_ne!(of("main"), stored, "the branch is known, but not the file");
        write(&stored, "x");
        for revision in [COMMIT, "main", "refs/pr/1"] {
            assert_eq!(of(revision), stored, "{revision}");
        }
        assert_eq!(of("other"), repo.join("snapshots/other/model.safetensors"));
    }

    #[test]
    fn a_branch_that_names_no_commit_leads_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("models--o--n");
        let elsewhere = folder.path().join("elsewhere");
        write(&elsewhere.join("f"), "x");
        for commit in ["../../../elsewhere", elsewhere.to_str().unwrap(), ""] {
            write(&repo.join("refs/main"), commit);
            assert_eq!(path_of(folder.path(), "o/n", "main", "f"), repo.join("snapshots/main/f"));
        }
    }
}

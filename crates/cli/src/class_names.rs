//! `--classes`: the names of a model's classes, from a file or from the command line.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use retinanet::files::open_regular;
use retinanet::labels::{Categories, MAX_CATEGORIES, MAX_NAME_BYTES};

use crate::exit::{Exit, Failure, Outcome};

/// What an unused class id is called; the only name that may repeat.
const UNUSED: &str = "N/A";

/// The largest file of names: all that a model may have, each as long as may be.
const MAX_FILE_BYTES: usize = MAX_CATEGORIES * (MAX_NAME_BYTES + 2);

/// The names that `given` means: a text file with one a line if there is a file of that name or it ends
/// in `.txt`, else names with commas between.
pub fn class_names(given: &str) -> Outcome<Categories> {
    let path = Path::new(given);
    let is_text = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("txt"));
    if path.is_file() || is_text {
        let refuse =
            |reason: String| Failure::bad_input(format!("--classes: the file {given:?} {reason}"));
        let text = read(path).map_err(refuse)?;
        let lines: Vec<&str> = text.trim_start_matches('\u{feff}').trim_end().lines().collect();
        return checked(&lines, "line", Exit::BadInput, &format!("the file {given:?}"));
    }
    let names: Vec<&str> = given.split(',').collect();
    checked(&names, "name", Exit::Usage, "the list")
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(format!("has more than {MAX_FILE_BYTES} bytes, so it is no list of names"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is no text in UTF-8 (byte {at}); give one name a line")
    })
}

/// The names without the spaces around them, none of them empty, none of them there twice.
fn checked(names: &[&str], part: &str, exit: Exit, from: &str) -> Outcome<Categories> {
    let refuse =
        |reason: String| Failure::Told { exit, message: format!("--classes: {from} {reason}") };
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    if names.iter().all(|name| name.is_empty()) {
        return Err(refuse("has no names; give as many as the model has classes".to_owned()));
    }
    for (index, &name) in names.iter().enumerate() {
        let number = index + 1;
        if name.is_empty() {
            let reason =
                format!("has no name at {part} {number}; write `{UNUSED}` for an unused class id");
            return Err(refuse(reason));
        }
        if let Some(first) = seen.insert(name, number)
            && name != UNUSED
        {
            let reason = format!(
                "has {name:?} twice, at {part} {first} and {part} {number}; only `{UNUSED}`, for unused class ids, may repeat"
            );
            return Err(refuse(reason));
        }
    }
    Categories::new(names.iter().copied())
        .map_err(|error| refuse(format!("cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(given: &str) -> String {
        match class_names(given) {
            Err(Failure::Told { message, .. }) => message,
            other => panic!("{given:?}: {other:?}"),
        }
    }

    #[test]
    fn a_list_has_commas_and_spaces_around_names_do_not_count() {
        let names = class_names("__background__, fire hydrant,N/A,N/A,cat").unwrap();
        assert_eq!(names.names(), ["__background__", "fire hydrant", "N/A", "N/A", "cat"]);
        assert_eq!(class_names("Tree").unwrap().names(), ["Tree"]);
    }

    #[test]
    fn lists_that_name_no_classes_are_refused_by_place() {
        for empty in ["", " ", ",", " , "] {
            assert!(message(empty).contains("has no names"), "{empty:?}");
        }
        assert!(message("a,,b").contains("no name at name 2; write `N/A`"));
        assert!(message("a,b,").contains("no name at name 3"));
        assert!(message("a,b, a").contains("has \"a\" twice, at name 1 and name 3"));
        assert!(message(&"x".repeat(300)).contains("300 bytes"));
        assert!(message(&["N/A"; 100_001].join(",")).contains("more than 100000"));
    }

    #[test]
    fn a_file_has_a_name_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let windows = file("names.txt", "\u{feff}__background__\r\ncat, large\r\n\r\n".as_bytes());
        assert_eq!(class_names(&windows).unwrap().names(), ["__background__", "cat, large"]);
        // A file that is there is read, whatever it is called.
        assert_eq!(class_names(&file("names", b"a\nb")).unwrap().names(), ["a", "b"]);
        assert!(message(&file("gap.txt", b"a\n\nb\n")).contains("no name at line 2"));
        assert!(message(&file("twice.txt", b"a\nb\na\n")).contains("at line 1 and line 3"));
        assert!(message(&file("empty.txt", b"\n\n")).contains("has no names"));
        assert!(message(&file("latin.txt", b"caf\xe9\n")).contains("UTF-8 (byte 3)"));
        assert!(message("no_such.txt").contains("cannot be read"));
        let directory = folder.path().join("folder.txt");
        std::fs::create_dir(&directory).unwrap();
        assert!(message(directory.to_str().unwrap()).contains("cannot be read"));
    }
}

use std::path::{Path, PathBuf};

use crate::data::{Dataset, ImageFiles, Listing, Loader, LoaderConfig};
use crate::image::Image;

/// A folder with files of these names, each holding nothing.
fn folder(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    for name in names {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
    (folder, root)
}

fn names(listing: &Listing) -> Vec<String> {
    (0..listing.len()).map(|index| listing.name(index).into_owned()).collect()
}

fn refusal<P: AsRef<Path>>(inputs: &[P]) -> String {
    Listing::of(inputs).unwrap_err().to_string()
}

#[test]
fn folders_are_listed_with_all_below_in_byte_order() {
    let (_kept, root) = folder(&[
        "b.jpg",
        "a/2.PNG",
        "a/10.jpeg",
        "a/b/c.webp",
        "a-b.jpg",
        "a.jpg",
        "B.jpg",
        "é.jpg",
        "notes.md",
        "a/.hidden.jpg",
        ".git/x.jpg",
        "list.txt",
        "a/jpg",
    ]);
    let listing = Listing::of(&[&root]).unwrap();
    // `-`, `.` and `/` in this order; capitals before small letters; two-byte letters last.
    let expected =
        ["B.jpg", "a-b.jpg", "a.jpg", "a/10.jpeg", "a/2.PNG", "a/b/c.webp", "b.jpg", "é.jpg"];
    assert_eq!(names(&listing), expected);
    assert_eq!(listing.skipped(), 4);
    assert_eq!(listing.path(3), root.join("a/10.jpeg"));
}

#[test]
fn names_start_at_the_common_folder_and_tell_all_files_apart() {
    let (_kept, root) = folder(&["p/a/1.jpg", "p/b/1.jpg", "p/b/2.jpg", "q/1.jpg"]);
    let of = |inputs: &[&str]| {
        let inputs: Vec<PathBuf> = inputs.iter().map(|input| root.join(input)).collect();
        names(&Listing::of(&inputs).unwrap())
    };
    assert_eq!(of(&["p"]), ["a/1.jpg", "b/1.jpg", "b/2.jpg"]);
    assert_eq!(of(&["p/b", "p/a"]), ["b/1.jpg", "b/2.jpg", "a/1.jpg"]);
    assert_eq!(of(&["p/b"]), ["1.jpg", "2.jpg"]);
    assert_eq!(of(&["p/a", "q/1.jpg"]), ["p/a/1.jpg", "q/1.jpg"]);
    assert_eq!(of(&["p/a/1.jpg"]), ["1.jpg"]);
    assert_eq!(of(&["p/a/../b/1.jpg", "p/a/1.jpg"]), ["b/1.jpg", "a/1.jpg"]);
    assert_eq!(of(&["p/*/1.jpg"]), ["a/1.jpg", "b/1.jpg"]);
    assert_eq!(of(&["**/2.jpg"]), ["p/b/2.jpg"]);
    assert_eq!(of(&["q/1.jpg", "q/1.jpg"]), ["1.jpg", "1.jpg"]);
}

#[test]
fn lists_hold_one_path_a_line_relative_to_themselves() {
    let (_kept, root) = folder(&["a/1.jpg", "b/no ending"]);
    let list = root.join("a/list.txt");
    let other = root.join("b/no ending");
    std::fs::write(&list, format!("\u{feff}1.jpg\r\n\n../b/missing #1.jpg\n{}", other.display()))
        .unwrap();
    let listing = Listing::of(&[&list]).unwrap();
    assert_eq!(names(&listing), ["a/1.jpg", "b/missing #1.jpg", "b/no ending"]);
    assert_eq!(listing.root(), root);
}

#[test]
fn lists_that_are_none_are_refused_with_the_line() {
    let (_kept, root) = folder(&[]);
    let list = root.join("list.lst");
    let long = [b"a.jpg\n".as_slice(), &[b'x'; 70_000]].concat();
    for (content, part) in [
        (b"a.jpg\nb\0c\n".as_slice(), "line 2 holds a zero byte"),
        (long.as_slice(), "line 2 is longer"),
        (b"/\n", "line 1 names no file"),
        (b"\n\n", "names no image"),
    ] {
        std::fs::write(&list, content).unwrap();
        assert!(refusal(&[&list]).contains(part), "{}", refusal(&[&list]));
    }
}

#[test]
fn inputs_that_mean_nothing_are_refused() {
    let (_kept, root) = folder(&["x/notes.md", "a[1].jpg"]);
    for (input, part) in [
        ("missing.jpg", "missing.jpg\": No such file"),
        ("x", "names no image: 1 other files were left out"),
        ("*.png", "names no image"),
        ("**a.jpg", "nor a pattern"),
    ] {
        let message = refusal(&[root.join(input)]);
        assert!(message.contains(part), "{message}");
    }
    assert!(refusal::<PathBuf>(&[]).contains("an empty list of inputs"));
    // A file whose name looks like a pattern is the file.
    assert_eq!(names(&Listing::of(&[root.join("a[1].jpg")]).unwrap()), ["a[1].jpg"]);
}

#[test]
#[cfg(unix)]
fn links_are_followed_but_not_round_in_a_circle() {
    use std::os::unix::fs::symlink;
    let (_kept, root) = folder(&["photos/1.jpg", "elsewhere/2.jpg"]);
    symlink(root.join("elsewhere"), root.join("photos/more")).unwrap();
    symlink(root.join("photos"), root.join("photos/again")).unwrap();
    symlink(root.join("nowhere"), root.join("photos/dangling.jpg")).unwrap();
    let listing = Listing::of(&[root.join("photos")]).unwrap();
    assert_eq!(names(&listing), ["1.jpg", "dangling.jpg", "more/2.jpg"]);
}

#[test]
#[cfg(unix)]
fn names_that_are_not_utf_8_are_listed() {
    use std::os::unix::ffi::OsStrExt;
    let (_kept, root) = folder(&["1.jpg"]);
    let odd = root.join(std::ffi::OsStr::from_bytes(b"\xff.jpg"));
    std::fs::write(&odd, b"").unwrap();
    let listing = Listing::of(&[&root]).unwrap();
    assert_eq!(names(&listing), ["1.jpg", "\u{fffd}.jpg"]);
    assert_eq!(listing.path(1), odd);
}

#[test]
fn the_digest_is_of_the_names_in_their_order() {
    let digest = |files: &[&str], inputs: &[&str]| {
        let (_kept, root) = folder(files);
        let inputs: Vec<PathBuf> = inputs.iter().map(|input| root.join(input)).collect();
        Listing::of(&inputs).unwrap().digest()
    };
    let first = digest(&["a/1.jpg", "2.jpg"], &[""]);
    assert_eq!(first, digest(&["a/1.jpg", "2.jpg", "x.md"], &[""]));
    assert_eq!(first, digest(&["a/1.jpg", "2.jpg"], &["2.jpg", "a/1.jpg"]));
    assert_ne!(first, digest(&["a/1.jpg", "2.jpg"], &["a/1.jpg", "2.jpg"]));
    assert_ne!(first, digest(&["a/1.jpg", "3.jpg"], &[""]));
    assert_eq!(
        digest(&["1.jpg"], &[""]).to_string(),
        // printf 'retinanet-list-v1\x05\0\0\0\0\0\0\0' '1.jpg' '\x01\0\0\0\0\0\0\0' | sha256sum
        "cbac6bdb9bade81efdf5b61918fbc772eade7accd0c975334ae0ca00135917ff"
    );
}

#[test]
fn image_files_are_decoded_and_called_by_their_names() {
    let (_kept, root) = folder(&["deep/empty.jpg"]);
    let image = Image::from_rgb8(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
    image.save_png(root.join("deep/good.png")).unwrap();
    let files = ImageFiles::new(Listing::of(&[&root]).unwrap());
    assert_eq!(files.size_in_bytes(&image), 6);
    let loader = Loader::new(files, LoaderConfig::default()).unwrap();
    let results: Vec<_> = loader.epoch(0).unwrap().map(|sample| sample.result).collect();
    let message = results[0].as_ref().unwrap_err().to_string();
    assert_eq!(message, "image \"deep/empty.jpg\" is empty (0 bytes); download or copy it again");
    assert_eq!(results[1].as_ref().unwrap(), &image);
}

//! The house: arrows between files and rooms go down only, and no crate knows one above it.
//!
//! An arrow goes from a file to the file that defines a word it uses (`use`, or a path in code; re-exports are
//! followed to the definition, handing a child's word on is no arrow). A room is what stands directly under `src/`.
//! Code for tests alone is not counted. `cargo test -p retinanet-tests --test house -- --nocapture` prints the counts.

mod graph;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;

use graph::{Arrows, between, circles, floors, within_circles};
use source::Crate;

/// The crates, each above all that it may use.
const CRATES: [&str; 8] =
    ["web", "python", "cli", "train", "retinanet", "checkpoint", "jpeg", "kernels"];

fn crates() -> Vec<Crate> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates"));
    CRATES.iter().map(|name| Crate::read(&folder.join(name))).collect()
}

fn rooms(arrows: &Arrows) -> Arrows {
    between(arrows, |module| module.split("::").next().unwrap_or(module).to_owned())
}

#[test]
fn every_crate_is_in_the_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let mut listed = CRATES.map(str::to_owned).to_vec();
    listed.sort();
    assert_eq!(found, listed);
}

#[test]
fn arrows_between_files_and_rooms_close_no_circle() {
    for one in crates() {
        let files = one.arrows();
        let rooms = rooms(&files);
        println!(
            "{}: {} files, {} lines; {} arrows between files ({} in circles), {} between rooms ({} in circles)",
            one.name,
            one.files(),
            one.lines(),
            files.len(),
            within_circles(&files),
            rooms.len(),
            within_circles(&rooms),
        );
        // A small face has few files, which hang together beneath the crate's root.
        let fewest = if one.files() < 10 { one.files() - 2 } else { 21 };
        assert!(files.len() >= fewest, "{}: the sources were not read", one.name);
        assert_eq!(circles(&files), [], "{}: files that use each other", one.name);
        assert_eq!(circles(&rooms), [], "{}: rooms that use each other", one.name);
        let mut by_floor: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (room, floor) in floors(&rooms) {
            by_floor.entry(floor).or_default().push(room);
        }
        for (floor, rooms) in by_floor {
            println!("  floor {floor}: {}", rooms.join(", "));
        }
    }
}

#[test]
fn a_crate_names_only_crates_below_it() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates");
    for (above, name) in CRATES.iter().enumerate() {
        let manifest = std::fs::read_to_string(format!("{root}/{name}/Cargo.toml")).unwrap();
        for upper in &CRATES[..=above] {
            let package = if *upper == "retinanet" {
                "retinanet".to_owned()
            } else {
                format!("retinanet-{upper}")
            };
            let names = |line: &str| {
                let key = line.split(['.', ' ', '=']).next().unwrap_or_default();
                key == package
            };
            let named = manifest.lines().find(|line| names(line));
            assert_eq!(named, None, "{name} depends on {package}");
        }
    }
}

#[test]
fn a_circle_and_the_arrows_within_it_are_found() {
    let arrow = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let tower =
        Arrows::from([arrow("roof", "wall"), arrow("wall", "floor"), arrow("roof", "floor")]);
    assert_eq!(circles(&tower), []);
    assert_eq!(floors(&tower)["roof"], 2);
    let mut knot = tower.clone();
    knot.insert(arrow("floor", "roof"));
    assert_eq!(circles(&knot).len(), 1);
    assert_eq!(within_circles(&knot), 4);
}

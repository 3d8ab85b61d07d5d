//! Arrows between named things: circles and floors.

use std::collections::{BTreeMap, BTreeSet};

/// Arrows from a user to what it uses.
pub type Arrows = BTreeSet<(String, String)>;

/// The same arrows between groups of things; what stays within a group is no arrow.
pub fn between(arrows: &Arrows, group: impl Fn(&str) -> String) -> Arrows {
    let pairs = arrows.iter().map(|(from, to)| (group(from), group(to)));
    pairs.filter(|(from, to)| from != to).collect()
}

/// Everything that can be reached from `start`.
fn reached<'a>(arrows: &'a Arrows, start: &'a str) -> BTreeSet<&'a str> {
    let mut all = BTreeSet::new();
    let mut next = vec![start];
    while let Some(from) = next.pop() {
        for (_, to) in arrows.iter().filter(|arrow| arrow.0 == from) {
            if all.insert(to.as_str()) {
                next.push(to);
            }
        }
    }
    all
}

/// The largest groups in which each thing uses every other, directly or through others.
pub fn circles(arrows: &Arrows) -> Vec<BTreeSet<String>> {
    let things: BTreeSet<&str> = arrows.iter().map(|arrow| arrow.0.as_str()).collect();
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        things.iter().map(|&thing| (thing, reached(arrows, thing))).collect();
    let mut found: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for (&thing, below) in reach.iter().filter(|(thing, below)| below.contains(*thing)) {
        let both =
            below.iter().filter(|other| reach.get(**other).is_some_and(|r| r.contains(thing)));
        found.insert(both.map(|&other| other.to_owned()).collect());
    }
    found.into_iter().collect()
}

/// The arrows that lie within a circle, each of which stops the things from standing on floors.
pub fn within_circles(arrows: &Arrows) -> usize {
    let circles = circles(arrows);
    let inside = |arrow: &&(String, String)| {
        circles.iter().any(|circle| circle.contains(&arrow.0) && circle.contains(&arrow.1))
    };
    arrows.iter().filter(inside).count()
}

/// What each thing stands on: 0 for those that use nothing, else one more than the highest it uses.
/// Only for arrows without circles.
pub fn floors(arrows: &Arrows) -> BTreeMap<String, usize> {
    let mut floors: BTreeMap<String, usize> = BTreeMap::new();
    for (from, to) in arrows {
        floors.insert(from.clone(), 0);
        floors.insert(to.clone(), 0);
    }
    for _ in 0..floors.len() {
        for (from, to) in arrows {
            let above = floors[to] + 1;
            if floors[from] < above {
                floors.insert(from.clone(), above);
            }
        }
    }
    floors
}

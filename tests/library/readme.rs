//! What the README promises stands in the code too.

const README: &str = include_str!("../../README.md");

#[test]
fn the_readme_shows_the_published_digest() {
    let digests = README.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64);
    let mut shown =
        digests.filter(|digest| README.contains(&format!("digest {digest}"))).peekable();
    assert!(shown.peek().is_some(), "no line `digest <64 hex digits>`");
    assert!(shown.all(|digest| digest == retinanet_examples::PUBLISHED_DIGEST));
}

#[test]
fn the_readme_names_the_two_commands() {
    assert!(README.contains("cargo run --release --example segment_person\n"));
    assert!(README.contains("cargo test --workspace\n"));
}

#[test]
fn the_numerics_number_is_the_same_everywhere() {
    let number = retinanet::determinism::NUMERICS_VERSION;
    let numerics = include_str!("../../docs/numerics.md");
    let changelog = include_str!("../../CHANGELOG.md");
    assert!(README.contains(&format!("[numerics {number}](docs/numerics.md)")));
    assert!(numerics.contains(&format!("**numerics {number}**")));
    let rows = numerics.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let counted: Vec<u32> = rows.filter_map(|first| first.parse().ok()).collect();
    assert_eq!(counted, Vec::from_iter(1..=number), "the rows of docs/numerics.md");
    // The first number stands for what was there before.
    for number in 2..=number {
        assert!(changelog.contains(&format!("numerics {number}")), "{number} in CHANGELOG.md");
    }
}

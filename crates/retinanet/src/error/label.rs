//! Labels and lists of categories.

/// The most categories a list may have.
pub const MAX_CATEGORIES: usize = 100_000;

/// The most bytes a category's name may have.
pub const MAX_NAME_BYTES: usize = 256;

/// A label is not one of the model's categories, or a list of categories is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// No category has this name.
    #[error(
        "unknown label {name:?}: it is none of the model's {known} categories (`Categories::names` lists them){}",
        suggestion(near)
    )]
    Unknown {
        /// The name as asked for, cut to a printable length.
        name: String,
        /// Up to three names that look like it, best first.
        near: Vec<String>,
        /// How many categories there are.
        known: usize,
    },
    /// Several categories have this name, so it selects none.
    #[error(
        "label {name:?} names {count} categories (ids {first} and {second}, among them), so it selects none; choose by class id"
    )]
    Ambiguous {
        /// The name as asked for.
        name: String,
        /// How many categories have it.
        count: usize,
        /// The first id.
        first: usize,
        /// The second id.
        second: usize,
    },
    /// A class id past the end of the list.
    #[error("class id {id} has no name: the list of categories has {known}, ids 0 to {}", known - 1)]
    IdOutOfRange {
        /// The id.
        id: usize,
        /// How many categories there are.
        known: usize,
    },
    /// A name that a list of one name a line cannot hold.
    #[error(
        "category {id} is called {name:?}: a line break, which `classes.txt` cannot hold; rename it"
    )]
    LineBreak {
        /// The category's place.
        id: usize,
        /// Its name.
        name: String,
    },
    /// A list without a name.
    #[error(
        "the list of categories is empty; give one name per class, the background (id 0) first"
    )]
    NoCategories,
    /// A list too long to be one.
    #[error("the list has more than {MAX_CATEGORIES} categories, the most that are accepted")]
    TooMany,
    /// A name that is empty or too long.
    #[error(
        "category {id} has a name of {bytes} bytes; names have 1 to {MAX_NAME_BYTES} (write `N/A` for an unused id)"
    )]
    NameLength {
        /// Its class id.
        id: usize,
        /// How many bytes it has.
        bytes: usize,
    },
}

fn suggestion(near: &[String]) -> String {
    let quoted: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => format!("; did you mean {only}?"),
        [start @ .., last] => format!("; did you mean {} or {last}?", start.join(", ")),
    }
}

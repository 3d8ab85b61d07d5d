//! Category names and their ids.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::Result;
pub use crate::error::{LabelError, MAX_CATEGORIES, MAX_NAME_BYTES};

/// How much of an unknown name an error repeats, in characters.
const MAX_ECHO_CHARS: usize = 64;

/// The names of a model's classes, in order: a name's place is its class id.
///
/// Id 0 is the background in torchvision's lists. Names may repeat (COCO's unused ids are all called
/// `N/A`); a repeated name cannot be selected by [`id_of`](Self::id_of).
///
/// In serde's formats it is a plain list of names, checked when read.
///
/// ```
/// use retinanet::labels::Categories;
///
/// let coco = Categories::coco_v1();
/// assert_eq!(coco.id_of("person")?, 1);
/// assert!(coco.id_of("persn").unwrap_err().to_string().contains("did you mean \"person\"?"));
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct Categories {
    names: Vec<String>,
    /// For each name: its first id, and its second if it repeats.
    ids: HashMap<String, Ids>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ids {
    first: usize,
    second: Option<usize>,
    count: usize,
}

impl Categories {
    /// A list of names, the first being class id 0.
    ///
    /// # Errors
    /// [`LabelError`] if the list is empty or longer than [`MAX_CATEGORIES`], or a name is empty or
    /// longer than [`MAX_NAME_BYTES`].
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self> {
        let names = names.into_iter().map(Into::into).take(MAX_CATEGORIES + 1);
        Ok(Self::checked(names.collect())?)
    }

    fn checked(names: Vec<String>) -> Result<Self, LabelError> {
        if names.is_empty() {
            return Err(LabelError::NoCategories);
        }
        if names.len() > MAX_CATEGORIES {
            return Err(LabelError::TooMany);
        }
        let mut ids: HashMap<String, Ids> = HashMap::with_capacity(names.len());
        for (id, name) in names.iter().enumerate() {
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                return Err(LabelError::NameLength { id, bytes: name.len() });
            }
            ids.entry(name.clone())
                .and_modify(|seen| {
                    seen.second = seen.second.or(Some(id));
                    seen.count += 1;
                })
                .or_insert(Ids { first: id, second: None, count: 1 });
        }
        Ok(Self { names, ids })
    }

    /// The 91 names of torchvision's COCO_V1 detection weights (`_COCO_CATEGORIES`): id 0 is
    /// `__background__`, 1 is `person`, and the ten ids COCO leaves out are `N/A`.
    pub fn coco_v1() -> Self {
        Self::checked(COCO_V1.iter().map(|&name| name.to_owned()).collect())
            .expect("the built-in list is valid")
    }

    /// `count` classes whose names are not known: `class 0`, `class 1`, and so on.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn unnamed(count: usize) -> Result<Self> {
        if count > MAX_CATEGORIES {
            return Err(LabelError::TooMany.into());
        }
        Self::new((0..count).map(|id| format!("class {id}")))
    }

    /// All names in order of class id.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many classes there are, the background included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Always false: a list has at least one name.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a class id.
    ///
    /// # Errors
    /// [`LabelError::IdOutOfRange`].
    pub fn name(&self, id: usize) -> Result<&str> {
        let known = self.names.len();
        let name = self.names.get(id).ok_or(LabelError::IdOutOfRange { id, known })?;
        Ok(name)
    }

    /// The class id of an exactly equal name.
    ///
    /// # Errors
    /// [`LabelError::Unknown`], with the names that look like it; [`LabelError::Ambiguous`] for a
    /// name that several ids share.
    pub fn id_of(&self, name: &str) -> Result<usize> {
        match self.ids.get(name) {
            Some(Ids { first, second: None, .. }) => Ok(*first),
            Some(&Ids { first, second: Some(second), count }) => {
                Err(LabelError::Ambiguous { name: name.to_owned(), count, first, second }.into())
            }
            None => Err(LabelError::Unknown {
                name: echo(name),
                near: self.near(name),
                known: self.names.len(),
            }
            .into()),
        }
    }

    /// Up to three selectable names that look like `name`, best first: the same but for case, then a
    /// few edits away, then containing it.
    fn near(&self, name: &str) -> Vec<String> {
        let length = name.chars().count();
        if length > MAX_ECHO_CHARS {
            return Vec::new();
        }
        let asked = name.trim().to_lowercase();
        let allowed = 1 + length / 4;
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (id, known) in self.names.iter().enumerate() {
            if self.ids[known].count > 1 {
                continue;
            }
            let known = known.to_lowercase();
            let known_length = known.chars().count();
            let contains = asked.chars().count() >= 3 && known.contains(&asked);
            if known_length.abs_diff(asked.chars().count()) <= allowed {
                let edits = strsim::osa_distance(&asked, &known);
                // As many edits as letters would make any short name look near.
                if edits <= allowed && edits < known_length {
                    found.push((edits, id));
                    continue;
                }
            }
            if contains {
                found.push((allowed + 1, id));
            }
        }
        found.sort_unstable();
        found.iter().take(3).map(|&(_, id)| self.names[id].clone()).collect()
    }
}

impl TryFrom<Vec<String>> for Categories {
    type Error = LabelError;

    fn try_from(names: Vec<String>) -> Result<Self, LabelError> {
        Self::checked(names)
    }
}

impl From<Categories> for Vec<String> {
    fn from(categories: Categories) -> Self {
        categories.names
    }
}

fn echo(name: &str) -> String {
    let mut chars = name.chars();
    let mut shown: String = chars.by_ref().take(MAX_ECHO_CHARS).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

#[rustfmt::skip]
const COCO_V1: [&str; 91] = [
    "__background__", "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck",
    "boat", "traffic light", "fire hydrant", "N/A", "stop sign", "parking meter", "bench", "bird",
    "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "N/A",
    "backpack", "umbrella", "N/A", "N/A", "handbag", "tie", "suitcase", "frisbee", "skis",
    "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "N/A", "wine glass", "cup", "fork", "knife", "spoon", "bowl",
    "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
    "cake", "chair", "couch", "potted plant", "bed", "N/A", "dining table", "N/A", "N/A", "toilet",
    "N/A", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven",
    "toaster", "sink", "refrigerator", "N/A", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn message(categories: &Categories, name: &str) -> String {
        categories.id_of(name).unwrap_err().to_string()
    }

    #[test]
    fn coco_has_91_names_with_person_at_1_and_ten_unused() {
        let coco = Categories::coco_v1();
        assert_eq!(coco.len(), 91);
        assert_eq!(coco.name(0).unwrap(), "__background__");
        assert_eq!(coco.id_of("person").unwrap(), 1);
        assert_eq!(coco.id_of("toothbrush").unwrap(), 90);
        assert_eq!(coco.names().iter().filter(|name| *name == "N/A").count(), 10);
    }

    #[test]
    fn every_selectable_name_finds_its_own_id() {
        let coco = Categories::coco_v1();
        for (id, name) in coco.names().iter().enumerate().filter(|(_, name)| *name != "N/A") {
            assert_eq!(coco.id_of(name).unwrap(), id);
        }
    }

    #[test]
    fn a_slip_suggests_the_near_name() {
        let coco = Categories::coco_v1();
        assert_eq!(
            message(&coco, "persn"),
            "unknown label \"persn\": it is none of the model's 91 categories \
             (`Categories::names` lists them); did you mean \"person\"?"
        );
        for (asked, meant) in [
            ("Person", "person"),
            ("PERSON ", "person"),
            ("persons", "person"),
            ("ball", "sports ball"),
            ("racket", "tennis racket"),
        ] {
            assert!(
                message(&coco, asked).contains(&format!("{meant:?}")),
                "{asked}: {}",
                message(&coco, asked)
            );
        }
    }

    #[test]
    fn at_most_three_names_are_suggested_and_the_nearest_comes_first() {
        let near = Categories::coco_v1().near("cap");
        assert_eq!(near, ["car", "cat", "cup"]);
    }

    #[test]
    fn a_name_like_none_suggests_none() {
        let coco = Categories::coco_v1();
        for asked in ["xylophone quartet", "", "q", &"person".repeat(50)] {
            assert!(!message(&coco, asked).contains("did you mean"), "{}", message(&coco, asked));
        }
    }

    #[test]
    fn a_repeated_name_selects_nothing_and_is_never_suggested() {
        let coco = Categories::coco_v1();
        let error = message(&coco, "N/A");
        assert!(error.contains("names 10 categories (ids 12 and 26"), "{error}");
        assert!(!message(&coco, "n/a").contains("N/A"));
    }

    #[test]
    fn control_characters_in_names_are_escaped() {
        let categories = Categories::new(["__background__", "per\u{1b}son"]).unwrap();
        let error = message(&categories, "per\u{7}son");
        assert!(error.contains("per\\u{7}son") && error.contains("per\\u{1b}son"), "{error}");
        assert!(!error.chars().any(char::is_control));
    }

    #[test]
    fn a_long_unknown_name_is_cut() {
        assert!(message(&Categories::coco_v1(), &"x".repeat(1 << 20)).len() < 300);
    }

    #[test]
    fn unusable_lists_are_refused() {
        let error = |names: Vec<String>| Categories::new(names).unwrap_err().to_string();
        assert!(error(vec![]).contains("is empty"));
        assert!(
            error(vec!["a".into(), String::new()]).contains("category 1 has a name of 0 bytes")
        );
        assert!(error(vec!["a".repeat(257)]).contains("category 0 has a name of 257 bytes"));
        assert!(error(vec!["N/A".into(); MAX_CATEGORIES + 1]).contains("more than 100000"));
        assert!(Categories::unnamed(usize::MAX).is_err());
        assert!(Categories::new(std::iter::repeat("endless")).is_err());
    }

    #[test]
    fn an_id_past_the_end_is_an_error() {
        let error = Categories::unnamed(3).unwrap().name(3).unwrap_err().to_string();
        assert_eq!(error, "class id 3 has no name: the list of categories has 3, ids 0 to 2");
    }

    #[test]
    fn serde_reads_back_a_plain_list_and_checks_it() {
        let categories = Categories::new(["__background__", "cat", "N/A", "N/A"]).unwrap();
        let json = serde_json::to_string(&categories).unwrap();
        assert_eq!(json, r#"["__background__","cat","N/A","N/A"]"#);
        assert_eq!(serde_json::from_str::<Categories>(&json).unwrap(), categories);
        assert!(
            serde_json::from_str::<Categories>("[]").unwrap_err().to_string().contains("is empty")
        );
    }
}

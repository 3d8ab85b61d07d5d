//! The digests of one image's way through the network, so that two machines find where they part.

use serde::{Deserialize, Serialize};

use super::{DeterminismError, Digest};
use crate::Result;

/// Digests of the stages of one image, in the order in which they are computed.
///
/// The names the library uses: `decoded`, `input`, `C3`..`C5`, `P3`..`P7` (the levels the model
/// returns), `logits/P3`.., `regression/P3`.., and `detections`. Of a picture in tiles: `decoded`,
/// `window/0`.., `detections`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Stage>", try_from = "Vec<Stage>")]
pub struct StageDigests {
    stages: Vec<Stage>,
}

/// One stage and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Which stage.
    pub stage: String,
    /// The digest of its tensor.
    pub digest: Digest,
}

/// Where two lists of stages part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDifference {
    /// The first list's stage at that place; `None` where the list has ended.
    pub left: Option<Stage>,
    /// The second list's stage at that place; `None` where the list has ended.
    pub right: Option<Stage>,
}

impl StageDigests {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a stage.
    ///
    /// # Errors
    /// [`DeterminismError::DuplicateStage`] where the stage is already there.
    pub fn push(&mut self, stage: &str, digest: Digest) -> Result<()> {
        if self.get(stage).is_some() {
            return Err(DeterminismError::DuplicateStage { stage: stage.to_owned() }.into());
        }
        self.stages.push(Stage { stage: stage.to_owned(), digest });
        Ok(())
    }

    /// The digest of a stage.
    pub fn get(&self, stage: &str) -> Option<Digest> {
        let found = self.stages.iter().find(|s| s.stage == stage)?;
        Some(found.digest)
    }

    /// The stages in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Stage> {
        self.stages.iter()
    }

    /// How many stages there are.
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether there is no stage.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The first place where the two lists differ, in name or digest; `None` where they are equal.
    ///
    /// Stages after it usually differ too, and say nothing more.
    pub fn first_difference(&self, other: &Self) -> Option<StageDifference> {
        let places = self.len().max(other.len());
        (0..places)
            .map(|i| (self.stages.get(i), other.stages.get(i)))
            .find(|(left, right)| left != right)
            .map(|(left, right)| StageDifference { left: left.cloned(), right: right.cloned() })
    }
}

impl<'a> IntoIterator for &'a StageDigests {
    type Item = &'a Stage;
    type IntoIter = std::slice::Iter<'a, Stage>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<StageDigests> for Vec<Stage> {
    fn from(digests: StageDigests) -> Self {
        digests.stages
    }
}

impl TryFrom<Vec<Stage>> for StageDigests {
    type Error = crate::Error;

    fn try_from(stages: Vec<Stage>) -> Result<Self> {
        let mut digests = Self::new();
        for stage in stages {
            digests.push(&stage.stage, stage.digest)?;
        }
        Ok(digests)
    }
}

impl std::fmt::Display for StageDigests {
    /// One line a stage: its name, padded, and its digest.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.iter().map(|s| s.stage.escape_debug().to_string()).collect();
        let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        for (name, stage) in names.iter().zip(self) {
            writeln!(f, "{name:width$}  {}", stage.digest)?;
        }
        Ok(())
    }
}

impl std::fmt::Display for StageDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.left, &self.right) {
            (Some(a), Some(b)) if a.stage == b.stage => write!(
                f,
                "the first stage that differs is {:?}: {} against {}",
                a.stage, a.digest, b.digest
            ),
            (a, b) => {
                let name = |stage: &Option<Stage>| match stage {
                    Some(stage) => format!("{:?}", stage.stage),
                    None => "the end".to_owned(),
                };
                write!(f, "the lists hold different stages: {} against {}", name(a), name(b))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(stages: &[(&str, u8)]) -> StageDigests {
        let mut list = StageDigests::new();
        for &(stage, byte) in stages {
            list.push(stage, Digest::from_bytes([byte; 32])).unwrap();
        }
        list
    }

    #[test]
    fn the_first_stage_that_differs_is_found() {
        let a = list(&[("decoded", 1), ("C3", 2), ("P3", 3)]);
        assert_eq!(a.first_difference(&a), None);
        let b = list(&[("decoded", 1), ("C3", 9), ("P3", 8)]);
        let difference = a.first_difference(&b).unwrap();
        assert_eq!(difference.left.as_ref().unwrap().stage, "C3");
        assert!(difference.to_string().contains("\"C3\": 0202"));
    }

    #[test]
    fn missing_and_renamed_stages_are_differences() {
        let a = list(&[("decoded", 1), ("C3", 2)]);
        let shorter = list(&[("decoded", 1)]);
        let difference = a.first_difference(&shorter).unwrap();
        assert_eq!(difference.right, None);
        assert!(difference.to_string().ends_with("\"C3\" against the end"));
        let renamed = list(&[("decoded", 1), ("C4", 2)]);
        let difference = a.first_difference(&renamed).unwrap();
        assert!(difference.to_string().ends_with("\"C3\" against \"C4\""));
    }

    #[test]
    fn a_stage_is_recorded_once() {
        let mut a = list(&[("C3", 2)]);
        let error = a.push("C3", Digest::from_bytes([0; 32])).unwrap_err();
        assert!(error.to_string().contains("\"C3\""));
        let twice = r#"[{"stage":"a","digest":"D"},{"stage":"a","digest":"D"}]"#
            .replace('D', &"0".repeat(64));
        assert!(serde_json::from_str::<StageDigests>(&twice).is_err());
    }

    #[test]
    fn the_list_survives_json_and_prints_aligned() {
        let a = list(&[("decoded", 1), ("C3", 2)]);
        let json = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<StageDigests>(&json).unwrap(), a);
        let lines: Vec<_> = a.to_string().lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("decoded  0101"));
        assert!(lines[1].starts_with("C3       0202"));
    }
}

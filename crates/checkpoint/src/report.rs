//! What loading did.

/// What strict loading did with every tensor of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadReport {
    /// What the spelling of the file's names is called; see [`Checkpoint::naming`](crate::Checkpoint::naming).
    pub naming: &'static str,
    /// Names of the tensors loaded, sorted.
    pub applied: Vec<String>,
    /// Tensors of the file that were left out, and why.
    pub ignored: Vec<Ignored>,
    /// Names as stored and what they became, where the two differ.
    pub renamed: Vec<(String, String)>,
}

/// A part of the file that no model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The name as stored.
    pub stored_name: String,
    /// Why it is not needed.
    pub reason: &'static str,
}

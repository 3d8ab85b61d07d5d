//! What a pickle of a state dict is made of.

use std::collections::BTreeMap;

use crate::weights::dtype::StoredDtype;

/// Index of a value in [`Pickle::nodes`]. Containers hold indices, so a value may be shared or even
/// contain itself without any recursion here.
pub(in crate::weights) type Id = usize;

/// The callables and classes a plain state dict consists of; nothing else is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Callable {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(StoredDtype),
}

/// The fixed list: module, name, meaning.
const CALLABLES: [(&str, &str, Callable); 14] = [
    ("collections", "OrderedDict", Callable::OrderedDict),
    ("torch._utils", "_rebuild_tensor", Callable::RebuildTensor),
    ("torch._utils", "_rebuild_tensor_v2", Callable::RebuildTensor),
    ("torch._utils", "_rebuild_parameter", Callable::RebuildParameter),
    ("torch", "DoubleStorage", Callable::Storage(StoredDtype::F64)),
    ("torch", "FloatStorage", Callable::Storage(StoredDtype::F32)),
    ("torch", "HalfStorage", Callable::Storage(StoredDtype::F16)),
    ("torch", "BFloat16Storage", Callable::Storage(StoredDtype::BF16)),
    ("torch", "LongStorage", Callable::Storage(StoredDtype::I64)),
    ("torch", "IntStorage", Callable::Storage(StoredDtype::I32)),
    ("torch", "ShortStorage", Callable::Storage(StoredDtype::I16)),
    ("torch", "CharStorage", Callable::Storage(StoredDtype::I8)),
    ("torch", "ByteStorage", Callable::Storage(StoredDtype::U8)),
    ("torch", "BoolStorage", Callable::Storage(StoredDtype::Bool)),
];

impl Callable {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        CALLABLES.iter().find(|row| (row.0, row.1) == (module, name)).map(|row| row.2)
    }
}

/// One value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A number that no state dict needs: a float, or an integer over 64 bits.
    OtherNumber,
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Keys and values in the order they were set.
    Dict(Vec<(Id, Id)>),
    Callable(Callable),
    /// A storage kept outside the pickle, by its persistent id.
    Persistent(Id),
    /// A callable with its argument tuple, not yet interpreted.
    Call(Callable, Id),
}

/// An unpickled object: its nodes, and which of them is the result.
#[derive(Debug)]
pub(in crate::weights) struct Pickle<'a> {
    pub(in crate::weights) nodes: Vec<Node<'a>>,
    pub(in crate::weights) root: Id,
    /// Bytes read, up to and including STOP.
    pub(in crate::weights) length: usize,
}

impl<'a> Pickle<'a> {
    pub(in crate::weights) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id]
    }

    pub(in crate::weights) fn text(&self, id: Id) -> Option<&'a str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub(in crate::weights) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A tuple or list.
    pub(in crate::weights) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// A tuple or list of non-negative integers.
    pub(in crate::weights) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.sequence(id)?.iter().map(|&item| self.size(item)).collect()
    }

    /// A dict with text keys, by key; a key set twice keeps its last value, as in Python. Entries
    /// with other keys are left out.
    pub(in crate::weights) fn dict(&self, id: Id) -> Option<BTreeMap<&'a str, Id>> {
        match self.node(id) {
            Node::Dict(entries) => Some(
                entries.iter().filter_map(|&(key, value)| Some((self.text(key)?, value))).collect(),
            ),
            _ => None,
        }
    }
}

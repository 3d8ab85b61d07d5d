//! What a pickle of a state dict is made of.

use std::collections::BTreeMap;

use crate::dtype::StoredDtype;

/// Index of a value in [`Pickle::nodes`]. Containers hold indices, so a value may be shared or even
/// contain itself without any recursion here.
pub(crate) type Id = usize;

/// The callables and classes a plain state dict consists of; nothing else is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callable {
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
pub(crate) enum Node<'a> {
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
pub(crate) struct Pickle<'a> {
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) root: Id,
    /// Bytes read, up to and including STOP.
    pub(crate) length: usize,
}

impl<'a> Pickle<'a> {
    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id]
    }

    pub(crate) fn text(&self, id: Id) -> Option<&'a str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub(crate) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A tuple or list.
    pub(crate) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// A tuple or list of non-negative integers.
    pub(crate) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.sequence(id)?.iter().map(|&item| self.size(item)).collect()
    }

    /// A dict with text keys, by key; a key set twice keeps its last value, as in Python. Entries
    /// with other keys are left out.
    pub(crate) fn dict(&self, id: Id) -> Option<BTreeMap<&'a str, Id>> {
        match self.node(id) {
            Node::Dict(entries) => Some(
                entries.iter().filter_map(|&(key, value)| Some((self.text(key)?, value))).collect(),
            ),
            _ => None,
        }
    }
}

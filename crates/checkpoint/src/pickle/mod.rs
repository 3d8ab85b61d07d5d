//! Reading the pickles that `torch.save` writes, as plain values: nothing in them is executed.

mod machine;
mod opcode;
mod refusal;
mod value;

pub(crate) use machine::parse;
pub(crate) use refusal::PickleError;
pub(crate) use value::{Callable, Id, Node, Pickle};

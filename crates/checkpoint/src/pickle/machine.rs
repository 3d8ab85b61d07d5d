//! A stack machine for the pickles that `torch.save` writes.
//!
//! It builds plain values and never calls anything: a callable is only remembered with its
//! arguments, and one outside a fixed list is an error. Every opcode adds at most one value and
//! text stays in the input, so memory is bounded by the input's length, which is bounded too.

use std::collections::BTreeMap;

use super::opcode::Reader;
use super::refusal::{PickleError, Step, invalid};
use super::value::{Callable, Id, Node, Pickle};
use crate::text::quoted;

/// The longest pickle taken: that of a network of 150 layers with its optimiser stays under 1 MB.
const MAX_BYTES: usize = 16 << 20;

/// The most values a pickle may create.
const MAX_NODES: usize = 1 << 20;

/// How many containers may be under construction at once.
const MAX_NESTING: usize = 128;

/// Interprets the pickle at the start of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    let bounded = &bytes[..bytes.len().min(MAX_BYTES)];
    let mut machine = Machine {
        input: Reader::new(bounded),
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        copied: 0,
    };
    machine.run().map_err(|error| match error {
        PickleError::Invalid(reason) => {
            PickleError::Invalid(format!("pickle byte {}: {reason}", machine.input.position()))
        }
        foreign => foreign,
    })
}

struct Machine<'a> {
    input: Reader<'a>,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Id>,
    /// Items copied out of shared lists, the one thing that could grow faster than the input.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn run(&mut self) -> Step<Pickle<'a>> {
        loop {
            match self.input.byte()? {
                b'.' => break,
                0x80 => self.protocol()?,
                // FRAME: a hint for buffered readers.
                0x95 => drop(self.input.array::<8>()?),
                b'(' => self.mark()?,
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_to_mark()?),
                b'2' => {
                    let top = self.top()?;
                    self.stack.push(top);
                }
                b'N' => self.push(Node::None)?,
                0x88 => self.push(Node::Bool(true))?,
                0x89 => self.push(Node::Bool(false))?,
                b'K' => {
                    let value = self.input.byte()?;
                    self.push(Node::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.input.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.input.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.input.byte()?;
                    let node = long(self.input.take(length.into())?);
                    self.push(node)?;
                }
                b'G' => {
                    self.input.array::<8>()?;
                    self.push(Node::OtherNumber)?;
                }
                b'X' => {
                    let text = self.input.text_u32()?;
                    self.push(Node::Text(text))?;
                }
                // SHORT_BINSTRING, SHORT_BINUNICODE.
                b'U' | 0x8c => {
                    let text = self.input.text_u8()?;
                    self.push(Node::Text(text))?;
                }
                b')' => self.push(Node::Tuple(Vec::new()))?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Node::Tuple(items))?;
                }
                // TUPLE1, TUPLE2, TUPLE3.
                count @ 0x85..=0x87 => {
                    let items = self.pop_many(usize::from(count) - 0x84)?;
                    self.push(Node::Tuple(items))?;
                }
                b']' => self.push(Node::List(Vec::new()))?,
                b'a' => {
                    let items = self.pop_many(1)?;
                    self.extend_list(items)?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.extend_list(items)?;
                }
                b'}' => self.push(Node::Dict(Vec::new()))?,
                b's' => {
                    let items = self.pop_many(2)?;
                    self.extend_dict(&items)?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.extend_dict(&items)?;
                }
                b'q' => {
                    let slot = self.input.byte()?;
                    self.remember(slot.into())?;
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.input.array()?);
                    self.remember(slot)?;
                }
                // MEMOIZE.
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let slot = self.input.byte()?;
                    self.recall(slot.into())?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.input.array()?);
                    self.recall(slot)?;
                }
                b'c' => {
                    let (module, name) = (self.input.line()?, self.input.line()?);
                    self.callable(module, name)?;
                }
                // STACK_GLOBAL.
                0x93 => {
                    let items = self.pop_many(2)?;
                    let (&Node::Text(module), &Node::Text(name)) =
                        (&self.nodes[items[0]], &self.nodes[items[1]])
                    else {
                        return invalid("a callable whose name is not text");
                    };
                    self.callable(module, name)?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Node::Persistent(id))?;
                }
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                other => {
                    return invalid(format!("opcode {other:#04x} has no place in a state dict"));
                }
            }
        }
        let root = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            return invalid("values are left over at its end");
        }
        let nodes = std::mem::take(&mut self.nodes);
        Ok(Pickle { nodes, root, length: self.input.position() })
    }

    fn protocol(&mut self) -> Step {
        match self.input.byte()? {
            2..=5 => Ok(()),
            other => invalid(format!("protocol {other}; only 2 to 5 are read")),
        }
    }

    fn push(&mut self, node: Node<'a>) -> Step {
        if self.nodes.len() >= MAX_NODES {
            return invalid(format!("more than {MAX_NODES} values"));
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// The stack belonging to the container under construction.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Step<Id> {
        match self.stack.last() {
            Some(&id) if self.stack.len() > self.floor() => Ok(id),
            _ => invalid("a value is used that was never made"),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_many(&mut self, count: usize) -> Step<Vec<Id>> {
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= self.floor() => Ok(self.stack.split_off(start)),
            _ => invalid("a value is used that was never made"),
        }
    }

    fn mark(&mut self) -> Step {
        if self.marks.len() >= MAX_NESTING {
            return invalid(format!("more than {MAX_NESTING} containers within each other"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Id>> {
        match self.marks.pop() {
            Some(start) => Ok(self.stack.split_off(start)),
            None => invalid("a container ends that never began"),
        }
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Step {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(existing) => existing.extend(items),
            _ => return invalid("an item is appended to something that is not a list"),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Step {
        let dict = self.top()?;
        let (pairs, []) = items.as_chunks::<2>() else {
            return invalid("a dict gets a key without a value");
        };
        match &mut self.nodes[dict] {
            Node::Dict(existing) => existing.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return invalid("a key is set on something that is not a dict"),
        }
        Ok(())
    }

    fn remember(&mut self, slot: u32) -> Step {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Step {
        match self.memo.get(&slot) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => invalid(format!("memo slot {slot} was never filled")),
        }
    }

    fn callable(&mut self, module: &str, name: &str) -> Step {
        match Callable::find(module, name) {
            Some(callable) => self.push(Node::Callable(callable)),
            None => Err(PickleError::Foreign(quoted(&format!("{module}.{name}")))),
        }
    }

    fn reduce(&mut self) -> Step {
        let arguments = self.pop()?;
        let function = self.pop()?;
        let (&Node::Callable(callable), Node::Tuple(items)) =
            (&self.nodes[function], &self.nodes[arguments])
        else {
            return invalid("a call of something that is not a callable with a tuple");
        };
        match callable {
            Callable::OrderedDict => {
                let entries = match items[..] {
                    [] => Vec::new(),
                    [pairs] => self.pairs(pairs)?,
                    _ => return invalid("an OrderedDict of more than one argument"),
                };
                self.push(Node::Dict(entries))
            }
            Callable::RebuildTensor | Callable::RebuildParameter => {
                self.push(Node::Call(callable, arguments))
            }
            Callable::Storage(_) => invalid("a storage made in place"),
        }
    }

    /// The list of key and value pairs with which Python 2 rebuilds an OrderedDict.
    fn pairs(&mut self, list: Id) -> Step<Vec<(Id, Id)>> {
        let Node::List(items) = &self.nodes[list] else {
            return invalid("an OrderedDict of something that is not a list");
        };
        self.copied = self.copied.saturating_add(items.len());
        if self.copied > MAX_NODES {
            return invalid(format!("more than {MAX_NODES} values"));
        }
        let pair = |&item: &Id| match &self.nodes[item] {
            Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => Ok((pair[0], pair[1])),
            _ => invalid("an OrderedDict of something that is not pairs"),
        };
        items.iter().map(pair).collect()
    }

    /// Sets an object's attributes. A state dict has one, `_metadata`, which holds no weights.
    fn build(&mut self) -> Step {
        self.pop()?;
        let object = self.top()?;
        match self.nodes[object] {
            Node::Dict(_) => Ok(()),
            _ => invalid("attributes set on something that is not an OrderedDict"),
        }
    }
}

/// A little-endian two's complement integer of any length.
fn long<'a>(bytes: &[u8]) -> Node<'a> {
    if bytes.len() > 8 {
        return Node::OtherNumber;
    }
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests;

//! The `retinanet` command.

fn main() {}

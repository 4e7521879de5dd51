//! `retrotap-lake`: the roles of the lake as commands of one program.

fn main() {}

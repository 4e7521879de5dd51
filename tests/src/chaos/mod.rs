//! The parts of the chaos test: who plays ([`chain`]), what is done to them ([`script`]), what was said
//! and found ([`history`]), and who judges it ([`judge`]).

pub mod chain;
pub mod database;
pub mod disk;
pub mod history;
pub mod judge;
pub mod script;

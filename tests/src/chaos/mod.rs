//! The parts of the chaos test that can be tested by themselves: what was said and found
//! ([`history`]), who judges it ([`judge`]), and what is done to the chain ([`script`]).

pub mod history;
pub mod judge;
pub mod script;

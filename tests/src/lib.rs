//! End to end tests: real ports, real brokers, a real browser.

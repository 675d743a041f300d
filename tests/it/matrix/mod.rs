//! The fault matrix (reliability.md, section 7): what no other room of tests has.

mod clocks;

//! Behaviour through public seams: whole passes against the sandbox, the real binary, the house rules.

mod architecture;

//! The whole loop with fake shops, on timers that stand still while anybody works.

mod control;
mod hooks;
mod lab;
mod life;
mod pages;
mod reload;

//! Exit codes, documented in the README; scripts and systemd rely on them.

use std::process::ExitCode;

/// How a command ended. When several shops end differently the gravest is reported: the one that
/// stands last here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done.
    #[default]
    Done,
    /// A dry run that found something to do, for whoever asked to be told so.
    Changes,
    /// Done, but some effects were refused or have no answer yet.
    SomeRefused,
    /// A guard stopped the plan; nothing was written.
    Guard,
    /// Another process holds the mirror or the key.
    Locked,
    /// A vendor could not be reached, or stays down.
    Unreachable,
    /// A vendor speaks something this version does not understand.
    Protocol,
    /// The disk is full or fails.
    Disk,
    /// The mirror or the journal is damaged.
    Damaged,
    /// A key was refused, lacks a scope, or a file may not be read.
    Refused,
    /// The config is wrong, or the account is not the pinned one.
    Config,
    /// The command line is wrong.
    Usage,
    /// A bug in driftless.
    Bug,
}

impl Exit {
    /// The number the operating system sees (reliability.md, section 10; the names are sysexits').
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Changes => 2,
            Self::Guard => 10,
            Self::SomeRefused => 11,
            Self::Usage => 64,
            Self::Damaged => 65,
            Self::Unreachable => 69,
            Self::Bug => 70,
            Self::Disk => 74,
            Self::Locked => 75,
            Self::Protocol => 76,
            Self::Refused => 77,
            Self::Config => 78,
        }
    }

    /// The exit of a number that another room gave; an unknown one is a bug of ours.
    pub fn from_code(code: u8) -> Self {
        let known = [
            Self::Done,
            Self::Changes,
            Self::SomeRefused,
            Self::Guard,
            Self::Locked,
            Self::Unreachable,
            Self::Protocol,
            Self::Disk,
            Self::Damaged,
            Self::Refused,
            Self::Config,
            Self::Usage,
        ];
        known
            .into_iter()
            .find(|exit| exit.code() == code)
            .unwrap_or(Self::Bug)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

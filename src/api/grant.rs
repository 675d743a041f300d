//! The permission to write.

/// Whoever holds this may write upstream. Only this crate can make one, and only the pass does, after
/// the plan stood before its guards: a read-only command has no way to reach a write.
#[derive(Debug)]
pub struct WriteGrant {
    _sealed: (),
}

impl WriteGrant {
    /// Opens the way to writes.
    pub(crate) fn mint() -> Self {
        Self { _sealed: () }
    }
}

//! The permission to write.

/// Whoever holds this may write upstream. Only this crate can make one, and only the pass does, after
/// the plan stood before its guards: a read-only command has no way to reach a write.
#[derive(Debug)]
pub struct WriteGrant {
    _sealed: (),
}

impl WriteGrant {
    /// Opens the way to writes.
    #[cfg_attr(not(test), expect(dead_code, reason = "only the pass opens the way"))]
    pub(crate) fn mint() -> Self {
        Self { _sealed: () }
    }
}

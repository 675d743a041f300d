//! The wish to stop, told once and heard everywhere.

use tokio::sync::watch;

/// Hears whether it is time to stop. Clones hear the same; the default never hears it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<watch::Receiver<bool>>);

/// Says that it is time to stop. A dropped brake says so too.
#[derive(Debug)]
pub struct Brake(watch::Sender<bool>);

impl Brake {
    /// A brake and the ear for it.
    pub fn new() -> (Self, Stop) {
        let (tell, hear) = watch::channel(false);
        (Self(tell), Stop(Some(hear)))
    }

    /// From now on it is time to stop.
    pub fn set(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether it is time to stop.
    pub fn is_set(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|hear| *hear.borrow() || hear.has_changed().is_err())
    }

    /// Returns when it is time to stop.
    pub async fn wait(&self) {
        match &self.0 {
            // An error means that the brake is gone, and nobody is left to work for.
            Some(hear) => drop(hear.clone().wait_for(|set| *set).await),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_hears_the_brake() {
        let (brake, stop) = Brake::new();
        let other = stop.clone();
        assert!(!stop.is_set() && !other.is_set());
        let waiting = tokio::spawn(async move { other.wait().await });
        brake.set();
        waiting.await.unwrap();
        assert!(stop.is_set());
    }

    #[tokio::test]
    async fn a_lost_brake_counts_as_set() {
        let (brake, stop) = Brake::new();
        drop(brake);
        assert!(stop.is_set());
        stop.wait().await;
    }
}

//! A bottom layer for tests: answers from a script, remembers the calls.

use super::klaviyo::limits::GET_PROFILES;
use super::{Answer, ApiError, Call, Exchange, Headers};
use std::collections::VecDeque;
use std::sync::Mutex;

#[derive(Debug, Default)]
pub(crate) struct Fake {
    script: Mutex<VecDeque<Result<Answer, ApiError>>>,
    seen: Mutex<Vec<Call>>,
}

impl Fake {
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self::results(script.into_iter().map(Ok))
    }

    pub(crate) fn results(script: impl IntoIterator<Item = Result<Answer, ApiError>>) -> Self {
        Self {
            script: Mutex::new(script.into_iter().collect()),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Call> {
        self.seen.lock().unwrap().clone()
    }
}

impl Exchange for Fake {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        self.seen.lock().unwrap().push(call.clone());
        let next = self.script.lock().unwrap().pop_front();
        next.expect("the script has an answer for every call")
    }
}

impl Exchange for &Fake {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        (**self).exchange(call).await
    }
}

pub(crate) fn answer(status: u16) -> Answer {
    Answer {
        status,
        headers: Headers::default(),
        body: bytes::Bytes::new(),
        envelope: None,
    }
}

pub(crate) fn body(text: &str) -> Answer {
    Answer {
        body: bytes::Bytes::copy_from_slice(text.as_bytes()),
        ..answer(200)
    }
}

pub(crate) fn call() -> Call {
    Call::get(&GET_PROFILES, "/api/profiles".to_owned())
}

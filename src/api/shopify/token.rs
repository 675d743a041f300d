//! The token: fixed, or asked for when needed (shopify.md, section 2).

use crate::api::{ApiError, Call, Class, Exchange, Fault, Method};
use crate::clock::Clock;
use crate::config::ShopifyAuth;
use crate::telemetry::Api;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::Mutex;

pub(super) static TOKEN: Class = Class {
    api: Api::Shopify,
    name: "access_token",
    limits: None,
};

/// What opens the shop.
#[derive(Debug)]
pub(super) enum Door {
    /// A custom app's token.
    Fixed(HeaderValue),
    /// The client credentials grant.
    Client {
        id: String,
        secret: SecretString,
        held: Mutex<Option<Held>>,
    },
}

#[derive(Debug)]
pub(super) struct Held {
    token: HeaderValue,
    /// On the monotonic clock: at 80 % of the token's life.
    renew_at: Duration,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

impl Door {
    pub fn new(auth: &ShopifyAuth) -> Result<Self, Fault> {
        Ok(match auth {
            ShopifyAuth::Token(token) => Self::Fixed(header(token)?),
            ShopifyAuth::Client { id, secret } => Self::Client {
                id: id.clone(),
                secret: secret.clone(),
                held: Mutex::default(),
            },
        })
    }

    /// A token that is good for now.
    pub async fn token(
        &self,
        stack: &impl Exchange,
        clock: &Clock,
    ) -> Result<HeaderValue, ApiError> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Client { id, secret, held } => {
                let mut held = held.lock().await;
                let now = clock.monotonic();
                if let Some(good) = held.as_ref().filter(|held| now < held.renew_at) {
                    return Ok(good.token.clone());
                }
                let fresh = grant(stack, id, secret, now).await?;
                Ok(held.insert(fresh).token.clone())
            }
        }
    }

    /// Forgets a token that was refused; `false` when no other can be had. Another task may have
    /// replaced it already.
    pub async fn refused(&self, token: &HeaderValue) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Client { held, .. } => {
                let mut held = held.lock().await;
                if held.as_ref().is_some_and(|held| held.token == token) {
                    *held = None;
                }
                true
            }
        }
    }
}

async fn grant(
    stack: &impl Exchange,
    id: &str,
    secret: &SecretString,
    now: Duration,
) -> Result<Held, ApiError> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", id)
        .append_pair("client_secret", secret.expose_secret())
        .finish();
    let call = Call::send(
        &TOKEN,
        Method::POST,
        "/admin/oauth/access_token".to_owned(),
        "application/x-www-form-urlencoded",
        form.into_bytes(),
    );
    let answer = stack.exchange(&call).await?;
    let failed = |fault| answer.error(&TOKEN, fault);
    // A place at most: not even a hash is told of what may hold the token.
    let misfit = |error: serde_json::Error| Fault::Shape {
        line: error.line(),
        column: error.column(),
    };
    let granted = serde_json::from_slice(&answer.body);
    let granted: Granted = granted.map_err(|error| failed(misfit(error)))?;
    let life = Duration::from_secs(granted.expires_in.min(30 * 86_400));
    Ok(Held {
        token: header(&granted.access_token.into()).map_err(failed)?,
        renew_at: now + life.mul_f64(0.8),
    })
}

fn header(token: &SecretString) -> Result<HeaderValue, Fault> {
    let token = HeaderValue::try_from(token.expose_secret());
    let mut token = token.map_err(|_| Fault::UnusableKey)?;
    token.set_sensitive(true);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::model::Moment;

    fn granted(token: &str) -> crate::api::Answer {
        body(&format!(
            r#"{{"access_token":"{token}","scope":"","expires_in":86399}}"#
        ))
    }

    #[tokio::test]
    async fn a_token_is_renewed_at_four_fifths_of_its_life_and_after_a_refusal() {
        let auth = ShopifyAuth::Client {
            id: "id".to_owned(),
            secret: "a b&c".into(),
        };
        let door = Door::new(&auth).unwrap();
        let fake = Fake::new(["one", "two", "three"].map(granted));
        let clock = Clock::manual(Moment::from_secs(1_000));
        let first = door.token(&&fake, &clock).await.unwrap();
        clock.advance(Duration::from_secs(69_000));
        assert_eq!(door.token(&&fake, &clock).await.unwrap(), first);
        clock.advance(Duration::from_secs(200));
        let second = door.token(&&fake, &clock).await.unwrap();
        assert_eq!(second, "two");
        assert!(second.is_sensitive());
        assert!(door.refused(&first).await);
        assert_eq!(door.token(&&fake, &clock).await.unwrap(), "two");
        assert!(door.refused(&second).await);
        assert_eq!(door.token(&&fake, &clock).await.unwrap(), "three");
        let (media, form) = fake.seen()[0].body.clone().unwrap();
        assert_eq!(media, "application/x-www-form-urlencoded");
        let expected = "grant_type=client_credentials&client_id=id&client_secret=a+b%26c";
        assert_eq!(form, expected);
    }

    #[tokio::test]
    async fn a_fixed_token_has_no_successor() {
        let door = Door::new(&ShopifyAuth::Token("shpat_x".into())).unwrap();
        let fake = Fake::default();
        let clock = Clock::manual(Moment(0));
        let token = door.token(&&fake, &clock).await.unwrap();
        assert!(!door.refused(&token).await);
        let unusable = Door::new(&ShopifyAuth::Token("a\nb".into()));
        assert!(matches!(unusable, Err(Fault::UnusableKey)));
    }
}

//! A file for Shopify to read, sent to where it asks for it: a form without any credential of ours.

use super::lines::{checked, refusal};
use crate::api::transport::head;
use crate::api::{ApiError, Class};
use crate::telemetry::Api;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use url::Url;

static UPLOAD: Class = Class {
    api: Api::Shopify,
    name: "staged_upload",
    limits: None,
};

/// Where Shopify takes uploads, beside hosts of its own. Not the object store at large: what is sent names
/// customers, and there anybody may have a place.
const STORE: &str = "shopify-staged-uploads.storage.googleapis.com";

/// Between two parts it stands after a line end and two dashes, with which no line of JSON begins.
const BOUNDARY: &str = "driftless-7MA4YWxkTrZu0gW";

/// Where to, and what goes before the file, in this order.
#[derive(Deserialize)]
pub(super) struct Target {
    url: Option<String>,
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: String,
}

impl Target {
    /// What Shopify calls the file afterwards.
    pub fn path(&self) -> Option<&str> {
        let key = self.parameters.iter().find(|known| known.name == "key");
        key.map(|known| known.value.as_str())
    }

    /// Sends the file. Nothing is done with it until something is started that names it.
    pub async fn send(
        &self,
        client: &reqwest::Client,
        base: &Url,
        file: &[u8],
    ) -> Result<(), ApiError> {
        let failed = |fault| ApiError::new(&UPLOAD, fault);
        let url = self.url.as_deref().unwrap_or_default();
        let url = checked(url, base, STORE).map_err(failed)?;
        let host: Box<str> = url.host_str().unwrap_or_default().into();
        let request = client
            .post(url)
            .header(
                CONTENT_TYPE,
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .body(self.form(file));
        let answer = head(&host, request.send()).await.map_err(failed)?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            _ => Err(refusal(&UPLOAD, &answer)),
        }
    }

    fn form(&self, file: &[u8]) -> Vec<u8> {
        let mut form = Vec::with_capacity(file.len() + 4_096);
        for Parameter { name, value } in &self.parameters {
            let head = format!("Content-Disposition: form-data; name=\"{name}\"");
            let part = format!("--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n");
            form.extend_from_slice(part.as_bytes());
        }
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"lines.jsonl\"\r\n\
                    Content-Type: text/jsonl";
        form.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        form.extend_from_slice(file);
        form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_are_named_to_the_vendors_own_places_alone() {
        let shop = Url::parse("https://demo.myshopify.com").unwrap();
        let check = |url: &str| checked(url, &shop, STORE).is_ok();
        assert!(check(
            "https://shopify-staged-uploads.storage.googleapis.com/"
        ));
        assert!(check("https://bulk.shopifycloud.com/x"));
        assert!(!check("https://storage.googleapis.com/anybody/x"));
    }
}

//! Log lines on stderr: text for a terminal, JSON for a journal.

use std::fmt;
use std::io;
use std::panic::PanicHookInfo;
use std::str::FromStr;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per line, for journald and collectors.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// There is no log format of this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no log format `{0}`; choose `text` or `json`")]
pub struct UnknownLogFormat(pub String);

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;
    fn from_str(name: &str) -> Result<Self, UnknownLogFormat> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat(name.to_owned())),
        }
    }
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "cannot read the log filter `{filter}`: {reason}; write it like `info,driftless::push=debug`"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody was here before.
    #[error("logging was set up already; set it up once, at the start of the process")]
    Twice,
}

/// Sends the log lines of the whole process to stderr, and panics into the log.
///
/// `filter` is in the syntax of `RUST_LOG`.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let subscriber = subscriber(format, filter, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// A formatted panic message may quote a record, so only literal ones are shown.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload().downcast_ref::<&'static str>().copied();
    let message = message.unwrap_or("formatted message withheld");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "Panicked: {message}");
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(|error| LogError::Filter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(lines.with_ansi(false).finish()),
        // Fields at the top level, so that a journal can be searched by `store` directly.
        LogFormat::Json => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .finish(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_fields_and_the_shop() {
        let text = logged(LogFormat::Json, "info", || {
            let shop = tracing::info_span!("shop", store = "acme");
            shop.in_scope(|| tracing::info!(profiles = 3, "Pulled {} profiles", 3));
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "Pulled 3 profiles");
        assert_eq!(line["profiles"], 3);
        assert_eq!(line["span"]["store"], "acme");
    }

    #[test]
    fn text_lines_obey_the_filter() {
        let text = logged(LogFormat::Text, "warn", || {
            tracing::info!("quiet");
            tracing::warn!(store = "acme", "loud");
        });
        assert!(text.contains("loud") && text.contains("acme"), "{text}");
        assert!(!text.contains("quiet"), "{text}");
    }

    #[test]
    fn a_panic_is_logged_without_what_it_quotes() {
        let text = logged(LogFormat::Text, "info", || {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            for quote in [true, false] {
                let caught = std::panic::catch_unwind(|| match quote {
                    true => panic!("cannot read {}", ["ada@example", ".com"].concat()),
                    false => panic!("the index is out of step"),
                });
                assert!(caught.is_err());
            }
            std::panic::set_hook(before);
        });
        assert!(!text.contains("ada@example.com"), "{text}");
        assert!(text.contains("withheld") && text.contains("the index is out of step"));
        assert!(text.contains("logs.rs"), "{text}");
    }

    #[test]
    fn a_bad_filter_or_format_is_named() {
        let Err(error) = subscriber(LogFormat::Text, "driftless=shout", io::sink) else {
            panic!("`shout` is no level");
        };
        assert!(error.to_string().contains("driftless=shout"));
        let error = LogFormat::from_str("xml").unwrap_err();
        assert!(error.to_string().contains("`json`"));
    }
}

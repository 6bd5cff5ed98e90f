//! What is wrong with a configuration file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake, at its place in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right; empty when `what` says it all.
    pub allowed: String,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}; give the path of a configuration file with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file has mistakes, in the order of their places.
    #[error("{}", List { path, mistakes })]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// At least one.
        mistakes: Vec<Mistake>,
    },
}

/// `file:line:column: what is wrong; what is allowed`, a line for each mistake.
struct List<'a> {
    path: &'a Path,
    mistakes: &'a [Mistake],
}

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, m) in self.mistakes.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}:{}: {}", self.path.display(), m.line, m.column, m.what)?;
            if !m.allowed.is_empty() {
                write!(f, "; {}", m.allowed)?;
            }
        }
        Ok(())
    }
}

/// Collects mistakes while a file is checked.
pub(super) struct Mistakes<'a> {
    text: &'a str,
    found: Vec<(usize, Mistake)>,
}

impl<'a> Mistakes<'a> {
    /// No mistake in `text` yet.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a mistake at a byte range of the text.
    pub(super) fn add(&mut self, span: Range<usize>, what: impl Into<String>, allowed: impl Into<String>) {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.found.push((start, Mistake { line, column, what: what.into(), allowed: allowed.into() }));
    }

    /// Notes what the TOML reader found: syntax, unknown and missing keys, wrong types.
    pub(super) fn add_toml(&mut self, error: &toml::de::Error) {
        let message = error.message().trim().replace('\n', " ");
        let (what, allowed) = match message.split_once(", expected ") {
            Some((what, expected)) => {
                let allowed = match expected {
                    "i64" => "a whole number",
                    "a boolean" => "true or false",
                    other => other.strip_prefix("one of ").unwrap_or(other),
                };
                (what.to_owned(), format!("allowed: {allowed}"))
            }
            None => (message, String::new()),
        };
        let what = what.replace("unknown field", "unknown key").replace("missing field", "missing key");
        self.add(error.span().unwrap_or(0..0), what, allowed.replace('`', ""));
    }

    /// The mistakes in the order of the text; `None` when there are none.
    pub(super) fn finish(mut self) -> Option<Vec<Mistake>> {
        self.found.sort_by_key(|(at, _)| *at);
        let list: Vec<_> = self.found.into_iter().map(|(_, m)| m).collect();
        (!list.is_empty()).then_some(list)
    }
}

//! The tester's cases: found, chosen, dealt out to shards, and what became of each.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One file of cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Path below the tree, `action/00_OUTPUT.json`.
    pub path: String,
    /// What it calls itself.
    pub title: String,
    /// The descriptions of its cases, in order.
    pub cases: Vec<String>,
}

/// What became of a case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The file it is from.
    pub file: String,
    /// Its description.
    pub case: String,
    /// Title of the file and number of the case in it: the same for two cases means that the suite counts one.
    #[serde(default)]
    pub counts_as: String,
    /// Whether the switch did as it should.
    pub ok: bool,
    /// What went wrong, in the tester's words.
    pub why: String,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
}

/// The files below `tree` whose path begins with one of `only` (all, if there are none), by path.
///
/// # Errors
/// A file cannot be read or is no list of cases.
pub fn find(tree: &Path, only: &[String]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("no cases in {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.strip_prefix(tree)?.to_string_lossy().into_owned();
                if only.is_empty() || only.iter().any(|start| name.starts_with(start.as_str())) {
                    let (title, cases) = read(&path)?;
                    files.push(File { path: name, title, cases });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Title and descriptions.
fn read(path: &Path) -> Result<(String, Vec<String>)> {
    let parsed: Vec<serde_json::Value> =
        serde_json::from_slice(&fs::read(path)?).with_context(|| format!("{} is no list of cases", path.display()))?;
    // The title of the file is a string; every case is an object.
    let title = parsed.iter().find_map(|value| value.as_str()).unwrap_or_default().to_owned();
    let cases = parsed.iter().filter(|value| value.is_object());
    Ok((title, cases.map(|case| case["description"].as_str().unwrap_or_default().to_owned()).collect()))
}

/// Deals files out so that all shards have about the same number of cases; none is empty.
pub fn deal(files: &[File], shards: usize) -> Vec<Vec<File>> {
    let mut hands = vec![Vec::<File>::new(); shards.clamp(1, files.len().max(1))];
    let mut order: Vec<&File> = files.iter().collect();
    order.sort_by_key(|file| std::cmp::Reverse(file.cases.len()));
    for file in order {
        let load = |hand: &Vec<File>| hand.iter().map(|file| file.cases.len()).sum::<usize>();
        if let Some(hand) = hands.iter_mut().min_by_key(|hand| load(hand)) {
            hand.push(file.clone());
        }
    }
    hands
}

/// The outcome of every case of `files`: a case that the tester did not come to has failed.
pub fn complete(files: &[File], mut told: Vec<Outcome>) -> Vec<Outcome> {
    let mut all = Vec::new();
    for file in files {
        for (number, case) in file.cases.iter().enumerate() {
            let place = told.iter().position(|outcome| outcome.file == file.path && outcome.case == *case);
            let outcome = match place {
                Some(place) => told.remove(place),
                None => Outcome {
                    file: file.path.clone(),
                    case: case.clone(),
                    counts_as: String::new(),
                    ok: false,
                    why: "the tester did not come to it".to_owned(),
                    seconds: 0.0,
                },
            };
            all.push(Outcome { counts_as: format!("{} #{number}", file.title), ..outcome });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, cases: &[&str]) -> File {
        File {
            path: path.to_owned(),
            title: format!("title of {path}"),
            cases: cases.iter().map(|&case| case.to_owned()).collect(),
        }
    }

    #[test]
    fn every_file_is_dealt_to_exactly_one_shard() {
        let files = [file("a", &["1", "2", "3"]), file("b", &["1"]), file("c", &["1", "2"]), file("d", &[])];
        let hands = deal(&files, 2);
        let loads: Vec<usize> = hands.iter().map(|hand| hand.iter().map(|f| f.cases.len()).sum()).collect();
        assert_eq!(loads, [3, 3]);
        assert_eq!(hands.iter().map(Vec::len).sum::<usize>(), 4);
        assert_eq!(deal(&files[..1], 8).len(), 1);
    }

    #[test]
    fn a_case_that_was_not_run_has_failed_and_one_of_two_of_a_name_counts_once() {
        let ran = |case: &str| Outcome {
            file: "a".to_owned(),
            case: case.to_owned(),
            counts_as: String::new(),
            ok: true,
            why: String::new(),
            seconds: 0.5,
        };
        let all = complete(&[file("a", &["x", "x", "y"])], vec![ran("x"), ran("y")]);
        assert_eq!(all.iter().map(|outcome| outcome.ok).collect::<Vec<_>>(), [true, false, true]);
        assert!(all[1].why.contains("did not come to it"));
        assert_eq!(all[2].counts_as, "title of a #2");
    }
}

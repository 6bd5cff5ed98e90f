//! Applies the tables of [`rules`] to every file of the workspace.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{rules, source};
use crate::workspace;

/// What the files break, and what deserves a look.
#[derive(Debug, Default)]
pub struct Findings {
    /// `path:line: what (why)`.
    pub errors: Vec<String>,
    /// Not wrong yet.
    pub notices: Vec<String>,
}

/// Look at everything below the workspace's root.
pub fn check() -> Result<Findings> {
    let root = workspace::root();
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut findings = Findings::default();
    for file in &files {
        let name = file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        forbidden_text(&name, &text, &mut findings);
        if file.extension().is_some_and(|extension| extension == "rs") {
            shape(&name, &text, &mut findings);
            forbidden_uses(&name, &text, &mut findings);
        }
        for (_, wanted, why) in rules::REQUIRED.iter().filter(|(path, ..)| *path == name) {
            if !text.contains(wanted) {
                findings.errors.push(format!("{name}: lacks `{wanted}` ({why})"));
            }
        }
    }
    Ok(findings)
}

/// The size of the file, and the sentence at its head.
fn shape(name: &str, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    if lines > rules::LINES_MAX {
        findings.errors.push(format!("{name}: {lines} lines, {} are the most: split it by noun", rules::LINES_MAX));
    } else if lines >= rules::LINES_REVIEW {
        findings.notices.push(format!("{name}: {lines} lines: does it still have one subject?"));
    }
    if !text.starts_with("//!") {
        findings.errors.push(format!("{name}:1: begins without `//!`: say what the file is for"));
    }
}

fn forbidden_uses(name: &str, text: &str, findings: &mut Findings) {
    let holds = |rule: &&rules::Use| {
        rule.within.iter().any(|prefix| name.starts_with(prefix))
            && !rule.except.iter().any(|prefix| name.starts_with(prefix))
    };
    let in_force: Vec<_> = rules::USES.iter().filter(holds).collect();
    let is_test = name.split('/').any(|part| part == "tests" || part.ends_with("tests.rs"));
    if in_force.is_empty() || is_test {
        return;
    }
    for named in source::named(&source::without_tests(&source::code(text))) {
        for rule in &in_force {
            for word in rule.words.iter().filter(|word| named.contains(word)) {
                findings.errors.push(format!("{name}:{}: names `{word}` ({})", named.line, rule.why));
            }
        }
    }
}

fn forbidden_text(name: &str, text: &str, findings: &mut Findings) {
    // The table that lists them, and the lock file, which names its index.
    if name == "xtask/src/lint/rules.rs" || name == "Cargo.lock" {
        return;
    }
    let here = format!("{}/", workspace::root().display());
    let more = env::var("WAMIG_LINT_FORBID").unwrap_or_default();
    let more = more.split(':').filter(|text| !text.is_empty()).map(|text| (text, "named by WAMIG_LINT_FORBID"));
    let all = rules::TEXTS.iter().copied().chain([(here.as_str(), "the path of this checkout")]).chain(more);
    for (wanted, why) in all {
        for (number, _) in text.lines().enumerate().filter(|(_, line)| line.contains(wanted)) {
            findings.errors.push(format!("{name}:{}: contains `{wanted}` ({why})", number + 1));
        }
    }
}

/// Every file but what git ignores: build output and captures.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", dir.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let built = path == workspace::target() || path.join("CACHEDIR.TAG").exists();
        if path.is_symlink()
            || built
            || name == "target"
            || (name.starts_with('.') && !matches!(&*name, ".ci" | ".cargo" | ".github"))
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors_of(name: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        shape(name, text, &mut findings);
        forbidden_uses(name, text, &mut findings);
        forbidden_text(name, text, &mut findings);
        findings.errors
    }

    #[test]
    fn a_layer_may_not_name_the_one_above() {
        let text = "//! Plans.\nuse tokio::sync;\nfn now() { std::time::Instant::now(); }\n";

        let errors = errors_of("wamig-userspace/src/migration/plan.rs", text);

        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].starts_with("wamig-userspace/src/migration/plan.rs:2: names `tokio`"));
        assert!(errors[1].contains(":3: names `Instant::now`"));
    }

    #[test]
    fn tests_and_other_layers_may() {
        let text = "//! Plans.\n#[cfg(test)]\nmod tests { use tokio::sync; }\n";

        assert!(errors_of("wamig-userspace/src/migration/plan.rs", text).is_empty());
        assert!(
            errors_of("wamig-userspace/src/daemon_tasks.rs", "//! Tasks.\nfn f() { tokio::spawn(g()); }").is_empty()
        );
        assert_eq!(errors_of("wamig-userspace/src/peer/mod.rs", "//! Peers.\nfn f() { tokio::spawn(g()); }").len(), 1);
    }

    #[test]
    fn a_file_has_a_head_and_a_size() {
        assert_eq!(errors_of("xtask/src/a.rs", "fn a() {}").len(), 1);
        assert_eq!(errors_of("xtask/src/a.rs", &format!("//! A.\n{}", "\n".repeat(600))).len(), 1);
    }

    #[test]
    fn the_place_of_a_checkout_is_named_nowhere() {
        let text = format!("//! See {}/README.md", workspace::root().display());

        assert!(!errors_of("xtask/src/a.rs", &text).is_empty());
    }
}

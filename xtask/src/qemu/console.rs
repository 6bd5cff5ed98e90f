//! Reads the guest's console: which test program printed what, and how it ended.
//!
//! `init.sh` marks the lines: `@@ kernel RELEASE`, `@@ begin NAME UPTIME`, `@@ end NAME STATUS UPTIME`.

use std::time::Duration;

/// Everything the guest said.
#[derive(Debug, Default)]
pub struct Console {
    release: Option<String>,
    runs: Vec<Run>,
}

/// One test program's part of it.
#[derive(Debug)]
pub struct Run {
    name: String,
    /// What it printed, in lines.
    pub output: String,
    /// Its exit status; none if the guest ended first.
    pub status: Option<i32>,
    began: f32,
    ended: f32,
}

impl Console {
    /// Take the console's output apart.
    pub fn read(printed: &str) -> Self {
        let mut console = Self::default();
        let mut open = false;
        for line in printed.lines() {
            let line = line.trim_end_matches('\r');
            let words: Vec<&str> = line.split_once("@@ ").map_or(Vec::new(), |(_, marked)| marked.split(' ').collect());
            match (words.as_slice(), console.runs.last_mut()) {
                (["kernel", release], _) => console.release = Some((*release).to_owned()),
                (["begin", name, uptime], _) => {
                    console.runs.push(Run::begin(name, uptime));
                    open = true;
                }
                (["end", name, status, uptime], Some(run)) if run.name == *name => {
                    run.status = status.parse().ok();
                    run.ended = uptime.parse().unwrap_or(run.began);
                    open = false;
                }
                (_, Some(run)) if open => {
                    run.output.push_str(line);
                    run.output.push('\n');
                }
                _ => {}
            }
        }
        console
    }

    /// The kernel's release, as it says itself.
    pub fn release(&self) -> &str {
        self.release.as_deref().unwrap_or("6.1, which did not come up,")
    }

    /// What the program `name` did, if it was started.
    pub fn of(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }
}

impl Run {
    fn begin(name: &str, uptime: &str) -> Self {
        let began = uptime.parse().unwrap_or(0.0);
        Self { name: name.to_owned(), output: String::new(), status: None, began, ended: began }
    }

    /// How it ended, as a reader is told.
    pub fn how(&self) -> String {
        self.status.map_or_else(|| "the machine ended before it".into(), |status| format!("exit status: {status}"))
    }

    /// How long it took, by the guest's clock.
    pub fn took(&self) -> Duration {
        Duration::try_from_secs_f32(self.ended - self.began).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_gets_its_own_lines() {
        let printed = "SeaBIOS\r\n@@ kernel 6.1.0\r\n@@ begin kernel_a 1.5\r\nrunning 1 test\r\n@@ end kernel_a 0 3.5\r\n\
                       noise\r\n@@ begin kernel_b 4\r\nrunning 2 tests\r\nKernel panic\r\n";

        let console = Console::read(printed);

        assert_eq!(console.release(), "6.1.0");
        let a = console.of("kernel_a").unwrap();
        assert_eq!((a.output.as_str(), a.status, a.took()), ("running 1 test\n", Some(0), Duration::from_secs(2)));
        let b = console.of("kernel_b").unwrap();
        assert_eq!((b.output.as_str(), b.status), ("running 2 tests\nKernel panic\n", None));
        assert!(console.of("kernel_c").is_none());
    }
}

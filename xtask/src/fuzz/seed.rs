//! The first inputs of a target, made out of files that are there for other tests.
//!
//! | ending | inputs |
//! |---|---|
//! | `.ofp` | the message that a golden file shows in hexadecimal |
//! | `.cddl` | the messages that a specification shows: lines `; example NAME HEX` |
//! | `.flows`, `.lines` | each line |
//! | any other | the file |

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use super::target::{self, Target};

/// Write the first inputs of a target into a directory, anew.
pub fn write(target: &Target, dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for pattern in &target.seeds {
        for file in target::files(pattern)? {
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let ending = file.extension().unwrap_or_default().to_string_lossy().into_owned();
            let inputs = inputs(&ending, &content).with_context(|| format!("{} is not as expected", file.display()))?;
            for (number, input) in inputs.iter().enumerate() {
                let parent = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
                let path = dir.join(format!("{parent}-{stem}-{number}"));
                fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn inputs(ending: &str, content: &[u8]) -> Result<Vec<Vec<u8>>> {
    let text = || std::str::from_utf8(content).context("not UTF-8");
    Ok(match ending {
        "ofp" => {
            let hex = text()?.split("--\n").next().unwrap_or_default();
            let digits: String = hex.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
            vec![bytes(&digits)?]
        }
        "cddl" => {
            let examples = text()?.lines().filter_map(|line| line.strip_prefix("; example "));
            examples.map(|line| bytes(line.split(' ').nth(1).unwrap_or_default())).collect::<Result<_>>()?
        }
        "flows" | "lines" => text()?.lines().map(|line| line.as_bytes().to_vec()).collect(),
        _ => vec![content.to_vec()],
    })
}

/// Hexadecimal digits, with white space anywhere.
fn bytes(digits: &str) -> Result<Vec<u8>> {
    let digits: Vec<u32> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).with_context(|| format!("{c:?} is no hexadecimal digit")))
        .collect::<Result<_>>()?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        bail!("{} hexadecimal digits are no bytes", digits.len());
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_come_out_of_every_kind_of_file() {
        let golden = b"04 02 0009 # header\n00000001 ff\n--\nEchoRequest\n";
        assert_eq!(inputs("ofp", golden).unwrap(), [[4, 2, 0, 9, 0, 0, 0, 1, 0xff]]);
        assert_eq!(inputs("cddl", b"; rules\n; example a 00ff\n").unwrap(), [[0, 0xff]]);
        assert_eq!(inputs("flows", b"a\nb\n").unwrap(), [b"a", b"b"]);
        assert_eq!(inputs("toml", b"a\nb\n").unwrap(), [b"a\nb\n"]);
        assert!(inputs("ofp", b"0x\n--\n").is_err());
    }

    #[test]
    fn golden_files_give_the_first_inputs() {
        let dir = tempfile::tempdir().unwrap();
        for target in target::all().unwrap() {
            write(&target, &dir.path().join("seeds")).unwrap();
            let written = fs::read_dir(dir.path().join("seeds")).unwrap().count();
            assert_eq!(written == 0, target.seeds.is_empty(), "{}", target.name);
        }
    }
}

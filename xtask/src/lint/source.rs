//! A Rust file as the house rules see it: code without comments, strings and tests, and the paths it names.

/// One path as written or imported: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Counted from 1.
    pub line: usize,
    /// Its segments.
    pub path: Vec<String>,
}

impl Named {
    /// Whether the path contains `word` (`tokio`, `Instant::now`) as whole segments.
    pub fn contains(&self, word: &str) -> bool {
        let wanted: Vec<&str> = word.split("::").collect();
        self.path.windows(wanted.len()).any(|part| part.iter().map(String::as_str).eq(wanted.iter().copied()))
    }
}

/// The text with comments and the insides of strings blanked; lines stay where they are.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let length = match c {
            '/' if chars.get(at + 1) == Some(&'/') => until(&chars, at, |rest| rest.first() == Some(&'\n')),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment(&chars[at..]),
            '"' => string(&chars[at..]),
            'r' if !previous_is_word(&chars, at) => raw_string(&chars[at..]),
            '\'' => character(&chars[at..]),
            _ => 0,
        };
        if length == 0 {
            out.push(c);
            at += 1;
        } else {
            out.extend(chars[at..at + length].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at += length;
        }
    }
    out
}

/// The code with every item under `#[cfg(test)]` blanked.
pub fn without_tests(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some(start) = code.find("#[cfg(test)]") {
        let rest = &code[start..];
        let brace = rest.find('{').unwrap_or(rest.len());
        let semicolon = rest.find(';').map_or(rest.len(), |at| at + 1);
        let end = if semicolon < brace { semicolon } else { brace + matching_brace(&rest[brace..]) };
        let blank: String = rest[..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..start + end, &blank);
    }
    code
}

/// Every path in code that has gone through [`code`].
pub fn named(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut reader = Reader { tokens: tokens(code), at: 0 };
    while let Some((line, token)) = reader.next() {
        if token == "use" {
            reader.tree(line, &[], &mut found);
        } else if is_word(&token) {
            let mut path = vec![token];
            while reader.peek() == Some("::") && reader.peek_at(1).is_some_and(is_word) {
                reader.next();
                path.extend(reader.next().map(|(_, segment)| segment));
            }
            found.push(Named { line, path });
        }
    }
    found
}

struct Reader {
    tokens: Vec<(usize, String)>,
    at: usize,
}

impl Reader {
    fn next(&mut self) -> Option<(usize, String)> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<&str> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(|(_, token)| token.as_str())
    }

    /// One tree of a `use` item, up to but without the `,`, `}` or `;` that ends it.
    fn tree(&mut self, line: usize, above: &[String], found: &mut Vec<Named>) {
        let mut path = above.to_vec();
        let mut line = line;
        while let Some(token) = self.peek() {
            match token {
                "," | "}" | ";" => break,
                "{" => {
                    self.next();
                    while let Some(token) = self.peek() {
                        match token {
                            "}" => {
                                self.next();
                                return;
                            }
                            "," => {
                                self.next();
                            }
                            ";" => return,
                            _ => self.tree(line, &path, found),
                        }
                    }
                    return;
                }
                "as" => {
                    self.next();
                    self.next();
                }
                _ => {
                    if let Some((at, segment)) = self.next().filter(|(_, token)| is_word(token)) {
                        line = at;
                        path.push(segment);
                    }
                }
            }
        }
        found.push(Named { line, path });
    }
}

fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let length = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            if !first.is_whitespace() {
                found.push((number + 1, token.to_owned()));
            }
            rest = after;
        }
    }
    found
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn previous_is_word(chars: &[char], at: usize) -> bool {
    // `br"…"` and `cr"…"` begin with a letter of their own.
    let before = at.checked_sub(1).and_then(|at| chars.get(at));
    before.is_some_and(|c| (c.is_alphanumeric() || *c == '_') && *c != 'b' && *c != 'c')
}

fn until(chars: &[char], from: usize, end: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len()).find(|at| end(&chars[*at..])).unwrap_or(chars.len()) - from
}

fn block_comment(chars: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < chars.len() {
        match chars.get(at..at + 2) {
            Some(['/', '*']) => {
                depth += 1;
                at += 2;
            }
            Some(['*', '/']) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

fn string(chars: &[char]) -> usize {
    let mut at = 1;
    while let Some(c) = chars.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The length of a raw string that starts at its `r`, or 0 if this `r` starts none.
fn raw_string(chars: &[char]) -> usize {
    let hashes = chars[1..].iter().take_while(|c| **c == '#').count();
    if chars.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let body = 2 + hashes;
    let closes =
        |rest: &[char]| rest.first() == Some(&'"') && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (body + until(chars, body, closes) + 1 + hashes).min(chars.len())
}

/// The length of a character literal, or 0 for a lifetime.
fn character(chars: &[char]) -> usize {
    match chars {
        ['\'', '\\', ..] => 2 + until(chars, 3, |rest| rest.first() == Some(&'\'')) + 2,
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
    .min(chars.len())
}

fn matching_brace(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        named(&code(text)).into_iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let text = "// tokio\n/* tokio /* tokio */ */ \"tokio \\\" tokio\" r#\"tokio\"tokio\"# b'\\'' '\"' 'a tokio";

        assert_eq!(code(text).matches("tokio").count(), 1);
        assert_eq!(code(text).lines().count(), 2);
    }

    #[test]
    fn an_import_gives_each_of_its_paths() {
        assert_eq!(
            paths("use std::{fs, net::{self, IpAddr as A}, io::*};"),
            ["std::fs", "std::net::self", "std::net::IpAddr", "std::io"]
        );
    }

    #[test]
    fn a_path_matches_by_whole_segments() {
        let named = named("let now = std::time::Instant::now();");
        let call = &named[2];

        assert!(call.contains("Instant::now"));
        assert!(call.contains("std"));
        assert!(!call.contains("time::now"));
    }

    #[test]
    fn tests_are_taken_out() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\n#[cfg(test)]\nmod c;\nfn d() {}\n";

        let left = without_tests(text);

        assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["fn", "a()", "{}", "fn", "d()", "{}"]);
        assert_eq!(left.lines().count(), text.lines().count());
    }
}

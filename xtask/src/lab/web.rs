//! DC1's web server — a real one, busybox's or Python's — and the fetching of its page.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::family::Families;
use super::journal::Journal;
use super::netns;
use super::process::Process;

/// What the page says.
pub const PAGE: &str = "<!doctype html><title>The shop of DC1</title><p>This page never moved.</p>\n";

/// Starts the web server in `namespace`, once for each family; returns when it accepts connections.
///
/// # Errors
/// Neither program is installed, or the one that is does not start.
pub fn start(journal: &Journal, namespace: &str, families: Families) -> Result<()> {
    let root = journal.dir().join("www");
    fs::create_dir_all(&root)?;
    fs::write(root.join("index.html"), PAGE)?;
    let root = root.to_str().context("the lab's directory is no text")?;
    for family in families.each() {
        let address = family.plan().web;
        let (program, args) = command(root, address)?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let log = journal.dir().join(format!("web-{}.log", family.title()));
        let label = format!("web server of DC1, {}", family.title());
        let mut process = Process::start(journal, &label, namespace, &program, &args, &log, false)?;
        let deadline = Instant::now() + Duration::from_secs(40);
        while fetch(namespace, address, "localhost", Duration::from_millis(500)).is_err() {
            ensure!(process.running() && Instant::now() < deadline, "no {label}: {}", process.last_words(5));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

fn command(root: &str, address: IpAddr) -> Result<(PathBuf, Vec<String>)> {
    let text = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    for busybox in ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().filter(|path| path.exists()) {
        // Debian's smaller busybox has no web server in it.
        let list = Command::new(busybox).arg("--list").stderr(Stdio::null()).output()?;
        if String::from_utf8_lossy(&list.stdout).lines().any(|applet| applet == "httpd") {
            let address = SocketAddr::new(address, 80).to_string();
            return Ok((busybox.into(), text(&["httpd", "-f", "-p", &address, "-h", root])));
        }
    }
    let python = Path::new("/usr/bin/python3");
    if python.exists() {
        let args = ["-m", "http.server", "--bind", &address.to_string(), "--directory", root, "80"];
        return Ok((python.into(), text(&args)));
    }
    bail!("neither busybox with httpd (Debian package busybox-static) nor /usr/bin/python3 is installed")
}

/// Fetches the front page of `address` from `namespace`, asking for `host`; the body.
///
/// # Errors
/// No connection, or an answer other than 200.
pub fn fetch(namespace: &str, address: IpAddr, host: &str, patience: Duration) -> Result<String> {
    netns::enter(namespace, || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 80)), patience)?;
        stream.set_read_timeout(Some(patience))?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the web server's answer has no body")?;
        ensure!(head.split(' ').nth(1) == Some("200"), "{}", head.lines().next().unwrap_or_default());
        Ok(body.to_owned())
    })
    .with_context(|| format!("cannot fetch http://{host}/ from {address}"))
}

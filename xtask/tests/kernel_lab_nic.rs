//! The recipe of docs/nic.md, block by block as it is written there, between network namespaces whose interfaces have
//! the names of its cards. Needs Debian 12's xdp-tools and a kernel that they run on: the guest of `cargo xtask test
//! --kernel debian` has both. What is held is that every command succeeds and that rewritten frames arrive; rates of
//! an emulated machine say nothing.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xtask::lab::journal::Journal;
use xtask::lab::recipe::{self, Block};
use xtask::lab::{demo, netns, offload, trial};
use xtask::suite::scratch::Scratch;

const RECIPE: &str = include_str!("../../docs/nic.md");
const PREFIX: &str = "wamig-nic-";
/// Where the recipe's cards are, and which of them a cable connects.
const CABLES: [[(&str, &str); 2]; 2] =
    [[("generator", "enp1s0f0"), ("gateway", "enp2s0f0")], [("gateway", "enp2s0f1"), ("sink", "enp3s0f0")]];
const MACHINES: [&str; 3] = ["generator", "gateway", "sink"];
/// The new destination of the recipe's rules, as `xdpdump -x` and hexadecimal dumps show it.
const REWRITTEN: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc8];

/// What keeps the machine from carrying it out.
fn lacking() -> Option<String> {
    if !Path::new("/workstation").exists() {
        return Some("this is not the guest of cargo xtask test --kernel debian".to_owned());
    }
    for tool in ["xdp-bench", "xdp-trafficgen", "xdpdump"] {
        if !Path::new("/usr/sbin").join(tool).exists() {
            return Some(format!("{tool} is not installed (scripts/setup vm installs it)"));
        }
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Others have been seen to refuse the generator's program.
    (!release.starts_with("6.1.")).then(|| format!("Debian 12's xdp-tools need its kernel 6.1, this is {release}"))
}

fn space(machine: &str) -> String {
    format!("{PREFIX}{machine}")
}

/// The three machines, their cables, and a directory for each in `dir`.
fn machines(journal: &Journal, dir: &Path) -> Result<()> {
    for machine in MACHINES {
        netns::create(journal, &space(machine))?;
        fs::create_dir_all(dir.join(machine))?;
    }
    for [(near, card), (far, other)] in CABLES {
        let peer = space(far);
        netns::ip(&space(near), &format!("link add {card} type veth peer name {other} netns {peer}"))?;
        for (machine, card) in [(near, card), (far, other)] {
            netns::ip(&space(machine), &format!("link set {card} up"))?;
            offload::like_a_wire(&space(machine), card)?;
            netns::ip(&space(machine), &format!("link set {card} down"))?;
        }
    }
    Ok(())
}

/// The packets that `dump-flows` shows, all flows together, and how many flows have any.
fn counted(flows: &str) -> (u64, usize) {
    let packets = flows.split("n_packets=").skip(1).filter_map(|rest| rest.split(',').next()?.parse().ok());
    let used: Vec<u64> = packets.filter(|count| *count > 0).collect();
    (used.iter().sum(), used.len())
}

/// The bytes of a hexadecimal dump: `0x0000:  33 33 …  text`.
fn bytes(dump: &str) -> Vec<u8> {
    let words = dump.lines().filter_map(|line| line.trim().strip_prefix("0x")?.split_once(':'));
    let two = |word: &&str| word.len() == 2;
    words
        .flat_map(|(_, line)| line.split_whitespace().take_while(two).take(16).collect::<Vec<_>>())
        .filter_map(|word| u8::from_str_radix(word, 16).ok())
        .collect()
}

/// What was written to files on each machine.
fn outputs(dir: &Path) -> Result<String> {
    let mut text = String::new();
    for machine in MACHINES {
        for entry in fs::read_dir(dir.join(machine))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.extension().is_some_and(|kind| kind == "txt") && name != "rules.txt" {
                let _ = write!(text, "{machine}, {name}:\n{}\n", recipe::wrote(&dir.join(machine), &name)?);
            }
        }
    }
    Ok(text)
}

fn holds(dir: &Path) -> Result<()> {
    let wrote = |machine: &str, name: &str| recipe::wrote(&dir.join(machine), name);
    let (packets, used) = counted(&wrote("gateway", "one.flows")?);
    ensure!(packets > 0 && used == 1, "one rule: {packets} packets by {used} flows");
    let (packets, used) = counted(&wrote("gateway", "many.flows")?);
    ensure!(packets > 0 && used == 1024, "1024 rules: {packets} packets by {used} flows");
    let frames = wrote("sink", "frames.txt")?;
    ensure!(bytes(&frames).windows(16).any(|window| window == REWRITTEN), "no rewritten frame at the sink:\n{frames}");
    for run in ["redirect.txt", "one.txt", "many.txt"] {
        let text = wrote("sink", run)?;
        ensure!(received(&text) > 0, "{run}: nothing arrived at the sink:\n{text}");
    }
    Ok(())
}

/// What `xdp-bench` says at its end that it has received.
fn received(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Packets received"));
    line.and_then(|rest| rest.trim().strip_prefix(':')?.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn the_recipe_for_network_cards_does_what_it_says() -> Result<()> {
    if let Some(what) = lacking() {
        println!("SKIP: {what}");
        return Ok(());
    }
    let wamig = demo::built_wamig()?;
    let bin = wamig.parent().context("wamig lies nowhere")?;
    trial::wait_for_turn(PREFIX)?;
    let (journal, _) = Journal::open(PREFIX)?;
    let scratch = Scratch::new()?;
    let dir = scratch.path();
    let done = machines(&journal, dir).and_then(|()| {
        // What the recipe says to copy to the generator.
        fs::copy("/workstation/probe.so", dir.join("generator/probe.so"))?;
        for block in recipe::blocks(RECIPE)?.into_iter().filter(|block| block.machine != "workstation") {
            let Block { machine, .. } = &block;
            ensure!(MACHINES.contains(&machine.as_str()), "line {}: no such machine: {machine}", block.line);
            block.run(&space(machine), &dir.join(machine), bin)?;
        }
        holds(dir)
    });
    let written = if done.is_err() { outputs(dir)? } else { String::new() };
    let swept = journal.sweep();
    done.with_context(|| format!("docs/nic.md; {swept}; what its commands wrote:\n{written}"))
}

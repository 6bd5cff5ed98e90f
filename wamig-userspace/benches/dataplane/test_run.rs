//! Group `test-run`: nanoseconds that a program takes for a frame, by `BPF_PROG_TEST_RUN`.

use aya::Ebpf;
use aya::programs::Xdp;
use wamig_openflow::FlowMod;
use wamig_userspace::fastpath::needs::Constants;

use super::Options;
use super::data_path::{DataPath, run};
use super::programs::Programs;
use super::row::Row;
use super::rules::{self, address_new, address_old, address6, compiled, exact_pairs, tagged, udp, udp6};

const GROUP: &str = "test-run";
/// `XDP_DROP`, `XDP_TX`, `XDP_REDIRECT`
const DROP: u32 = 1;
const TX: u32 = 3;
const REDIRECT: u32 = 4;

/// Which program is run.
#[derive(Clone, Copy)]
enum How {
    /// The one that fits the tables, as the daemon chooses it.
    Fitted,
    /// The one that can do everything.
    General,
    /// The fitting one without the verdict cache.
    Forgetful,
}

/// A program, and the frame that it is run on.
struct Case {
    row: Row,
    object: Ebpf,
    program: &'static str,
    frame: Vec<u8>,
    action: u32,
    /// Keeps the maps filled.
    path: Option<DataPath>,
}

impl Case {
    fn limit(options: &Options, name: &str, n: u32) -> Self {
        let mut programs = Programs::load(&options.object);
        let pairs = if n == 1 {
            let (a, b) = (address_old(0), address_new(0));
            vec![(a, b), (b, a)]
        } else {
            exact_pairs(n, n)
        };
        programs.rewrite(&pairs, 1);
        let row = Row::new(GROUP, name, "ns");
        Self { row, object: programs.0, program: "limit", frame: udp(address_old(0)), action: REDIRECT, path: None }
    }

    fn program(&self) -> &Xdp {
        self.object.program(self.program).unwrap().try_into().unwrap()
    }

    fn wamig(name: &str, mods: &[FlowMod], frame: Vec<u8>, action: u32, how: How) -> Self {
        let flows = compiled(mods);
        let mut path = DataPath::loopback((flows.len() as u32 + 1024).next_power_of_two());
        path.install(&flows);
        let fitted = Constants::needed(&flows).rounded();
        let (constants, what) = match how {
            How::Fitted => (fitted, ""),
            How::General => (Constants::default(), ", general program"),
            How::Forgetful => (Constants { cache: false, ..fitted }, ", no cache"),
        };
        let object = path.program(constants);
        let name = format!("{name}{what}");
        let row = Row::new(GROUP, name, "ns");
        Self { row, object, program: "wamig", frame, action, path: Some(path) }
    }
}

fn cases(options: &Options) -> Vec<Case> {
    use How::{Fitted, Forgetful, General};
    let here = || udp(address_old(0));
    let stranger = || udp(address_old(0xf_0000));
    let mut cases = vec![
        Case::limit(options, "limit", 1),
        Case::limit(options, "limit, 1024 rules", 1024),
        Case::wamig("1 migration rule", &rules::one(), here(), REDIRECT, Fitted),
        Case::wamig("1 migration rule", &rules::one(), here(), REDIRECT, General),
        Case::wamig("AWAY tables", &rules::away(), here(), TX, Fitted),
        Case::wamig("1 migration rule", &rules::one(), here(), REDIRECT, Forgetful),
        Case::wamig("AWAY tables", &rules::away(), here(), TX, General),
        Case::wamig("AWAY tables", &rules::away(), here(), TX, Forgetful),
        Case::wamig("1024 rules", &rules::exact(1024, 1024), here(), REDIRECT, Fitted),
        Case::wamig("1024 rules", &rules::exact(1024, 1024), here(), REDIRECT, Forgetful),
        Case::wamig("100 k rules, 1 k active", &rules::exact(100_000, 1024), here(), REDIRECT, Fitted),
        Case::wamig("100 k rules, 100 k active", &rules::exact(131_072, 131_072), here(), REDIRECT, Fitted),
        Case::wamig("100 k rules, 100 k active", &rules::exact(131_072, 131_072), here(), REDIRECT, Forgetful),
    ];
    for n in [1, 4, 16, 64] {
        cases.push(Case::wamig(&format!("{n} masks, warm"), &rules::masks(n, 1), here(), REDIRECT, Fitted));
        cases.push(Case::wamig(&format!("{n} masks, cold"), &rules::masks(n, 32768), here(), REDIRECT, Fitted));
        cases.push(Case::wamig(&format!("{n} masks, cold"), &rules::masks(n, 32768), here(), REDIRECT, Forgetful));
        cases.push(Case::wamig(&format!("{n} masks, miss"), &rules::masks(n, 1), stranger(), DROP, Fitted));
    }
    for n in [4, 10] {
        cases.push(Case::wamig(&format!("{n} tables"), &rules::tables(n), here(), REDIRECT, Fitted));
    }
    cases.push(Case::wamig("IPv6", &rules::ipv6(), udp6(address6(1)), REDIRECT, Fitted));
    cases.push(Case::wamig("VLAN", &rules::vlan(), tagged(address_old(0)), REDIRECT, Fitted));
    let empty = cases[2].path.as_ref().unwrap().program(Constants::default());
    let row = Row::new(GROUP, "empty", "ns");
    cases.insert(0, Case { row, object: empty, program: "empty", frame: here(), action: DROP, path: None });
    cases
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let mut set = nix::sched::CpuSet::new();
    set.set(0).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
    let (rounds, repeat) = if options.quick { (5, 50_000) } else { (25, 200_000) };
    let mut cases = cases(options);
    for round in 0..rounds {
        for case in &mut cases {
            let (action, _, ns) = run(case.program(), &case.frame, repeat);
            assert_eq!(action, case.action, "{}", case.row.name);
            case.row.samples.push(ns);
        }
        eprint!("\rtest-run: round {} of {rounds}", round + 1);
    }
    eprintln!();
    for case in &mut cases {
        let verified = case.program().info().unwrap().verified_instruction_count();
        case.row.notes.push(("verified instructions".to_owned(), f64::from(verified.unwrap_or(0))));
        case.row.print();
    }
}

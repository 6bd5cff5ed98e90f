//! The house rules, as one table each: what may not be named where, and what no file may contain.

/// Names that may not appear in the code of some directories, tests left out.
pub struct Use {
    /// Path prefixes the rule holds for, from the workspace's root.
    pub within: &'static [&'static str],
    /// Path prefixes it does not hold for.
    pub except: &'static [&'static str],
    /// The names, as whole path segments.
    pub words: &'static [&'static str],
    /// The reason a reader is told.
    pub why: &'static str,
}

/// The layers: dependencies point downwards only.
pub const USES: &[Use] = &[
    Use {
        within: &["wamig-common/src/"],
        except: &[],
        words: &["alloc", "aya", "aya_ebpf", "std"],
        why: "the pipeline also runs inside the kernel",
    },
    Use {
        within: &["wamig-userspace/openflow/src/"],
        except: &[],
        words: &["aya", "libc", "nix", "std::fs", "TcpListener", "TcpStream", "UdpSocket", "tokio"],
        why: "the codec does no IO",
    },
    Use {
        within: &["wamig-userspace/src/controller", "wamig-userspace/src/migration"],
        except: &[],
        words: &["aya", "fastpath"],
        why: "a controller knows datapaths, not what one of them is made of",
    },
    Use {
        within: &["wamig-userspace/src/agent"],
        except: &[],
        words: &["aya", "memory", "tokio", "xdp"],
        why: "the agent asks the switch, whatever it is made of, and does no IO",
    },
    Use {
        within: &["wamig-userspace/src/channel"],
        except: &[],
        words: &["agent", "aya", "fastpath", "switch"],
        why: "a connection does not know what its messages mean: either end may use it",
    },
    Use {
        within: &["wamig-userspace/src/migration"],
        except: &[],
        words: &["tokio"],
        why: "the state machines do no IO: they take events and return effects",
    },
    Use {
        within: &[
            "wamig-userspace/src/agent",
            "wamig-userspace/src/controller",
            "wamig-userspace/src/migration",
            "wamig-userspace/src/switch",
        ],
        except: &[],
        words: &["Instant::now", "SystemTime::now"],
        why: "the clock is an argument, so that tests own it",
    },
    Use {
        within: &["wamig-userspace/src/"],
        except: &["wamig-userspace/src/daemon"],
        words: &["tokio::spawn", "tokio::task::spawn"],
        why: "every task is started where the task diagram is, in daemon*.rs",
    },
    Use {
        within: &[""],
        except: &[],
        words: &["unbounded_channel"],
        why: "a queue without a bound grows until the machine is out of memory",
    },
];

/// Text that a file has to contain.
pub const REQUIRED: &[(&str, &str, &str)] =
    &[("wamig-common/src/lib.rs", "forbid(unsafe_code)", "the pipeline is safe Rust, checked by the compiler")];

/// Text that no file may contain, and why. `WAMIG_LINT_FORBID` (separated by `:`) adds to it.
pub const TEXTS: &[(&str, &str)] = &[
    (concat!("/", "root/"), "a path of one machine"),
    ("deb.debian.org", "which mirror is used is up to the machine"),
    ("index.crates.io", "which registry is used is up to the machine"),
    ("static.crates.io", "which registry is used is up to the machine"),
    ("files.pythonhosted.org", "which registry is used is up to the machine"),
    ("registry.npmjs.org", "which registry is used is up to the machine"),
    ("proxy.golang.org", "which registry is used is up to the machine"),
];

/// Lines a Rust file may have, its tests included.
pub const LINES_MAX: usize = 600;
/// Lines from which on it should be read again with splitting in mind.
pub const LINES_REVIEW: usize = 400;

/// The minor versions of Rust 1 whose clippy the sources were checked with; another one's warnings do not fail.
pub const CLIPPY: std::ops::RangeInclusive<u32> = 95..=96;

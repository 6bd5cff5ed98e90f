//! Three network namespaces in a row: generator, device under test, sink.
//!
//! ```text
//! gen: wbg0 ──── in :dut: out ──── wbs0 :snk
//! ```

use std::fs::File;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};

/// CPU of the device under test.
pub const CPU: usize = 1;

/// The namespaces; deleted at the end.
pub struct Row3 {
    names: [String; 3],
}

/// Runs a program to the end; what it printed, or what went wrong.
pub fn try_run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{program} cannot be run: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// Runs a program that must succeed.
pub fn must_run(program: &str, args: &[&str]) -> String {
    try_run(program, args).unwrap_or_else(|e| panic!("{e}"))
}

impl Row3 {
    /// Made, connected, up; hosts do not speak by themselves.
    pub fn new() -> Self {
        Self::numbered(0)
    }

    /// One of several at a time.
    pub fn numbered(number: u32) -> Self {
        let id = std::process::id();
        let names = ["gen", "dut", "snk"].map(|n| format!("wb{id}-{number}-{n}"));
        let row = Self { names };
        for name in &row.names {
            must_run("ip", &["netns", "add", name]);
            must_run("ip", &["netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
            must_run("ip", &["-n", name, "link", "set", "lo", "up"]);
        }
        let [generator, dut, sink] = row.names.each_ref().map(String::as_str);
        let link = |ns: &str, args: &str| {
            let args: Vec<&str> = ["-n", ns, "link"].into_iter().chain(args.split(' ')).collect();
            must_run("ip", &args);
        };
        let queues = "numtxqueues 1 numrxqueues 1";
        link(generator, &format!("add wbg0 {queues} type veth peer name in netns {dut} {queues}"));
        link(dut, &format!("add out {queues} type veth peer name wbs0 netns {sink} {queues}"));
        link(dut, "set in address 02:00:00:00:00:02");
        link(dut, "set out address 02:00:00:00:01:01");
        link(sink, "set wbs0 address 02:00:00:00:02:02");
        link(generator, "set wbg0 up");
        link(dut, "set in up");
        link(dut, "set out up");
        link(sink, "set wbs0 up");
        row
    }

    /// Name of the namespace of the device under test.
    pub fn dut(&self) -> &str {
        &self.names[1]
    }

    /// Runs work in a namespace (0 generator, 1 device under test, 2 sink), on its own thread.
    pub fn within<T: Send>(&self, place: usize, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.names[place])).unwrap();
        std::thread::scope(|scope| {
            let entered = scope.spawn(move || {
                setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            entered.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
        })
    }

    /// Runs a program in the namespace of the device under test.
    pub fn exec(&self, args: &[&str]) -> Result<String, String> {
        let all: Vec<&str> = ["netns", "exec", self.dut()].into_iter().chain(args.iter().copied()).collect();
        try_run("ip", &all)
    }

    /// Index of an interface.
    pub fn ifindex(&self, place: usize, name: &str) -> u32 {
        self.within(place, || nix::net::if_::if_nametoindex(name).unwrap())
    }

    /// Gives the ingress interface a kernel thread of its own for what it receives, on
    /// [`CPU`], so that the time which frames cost can be read: its process id.
    pub fn pin_napi(&self) -> Option<u32> {
        for _ in 0..40 {
            let _ = self.exec(&["sh", "-c", "echo 1 > /sys/class/net/in/threaded"]);
            if let Some(pid) = napi_thread() {
                must_run("taskset", &["-pc", &CPU.to_string(), &pid.to_string()]);
                return Some(pid);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        None
    }
}

/// The newest kernel thread of an interface `in`.
fn napi_thread() -> Option<u32> {
    let pids = std::fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.starts_with("napi/in-")))
        .max()
}

/// CPU time of all threads of these processes, nanoseconds.
pub fn cpu_time(pids: &[u32]) -> u64 {
    let mut sum = 0;
    for pid in pids {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            sum += stat.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum
}

impl Drop for Row3 {
    fn drop(&mut self) {
        for name in &self.names {
            if let Err(e) = try_run("ip", &["netns", "del", name]) {
                eprintln!("{e}");
            }
        }
    }
}

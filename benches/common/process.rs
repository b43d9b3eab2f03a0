//! Processes: this program as a server in another one, which core it has, how much of it it used.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

/// The core of the server, and that of everyone else. Where there is only one, or nothing to bind
/// a process with, the system decides.
const SERVER_CORE: &str = "0";
const OTHER_CORE: &str = "1";

/// What the environment variable is called that tells a process what it is there for.
const ROLE: &str = "BENCH_ROLE";

/// What this process is there for; `None`: the bench itself.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This program in another process. It ends when this is dropped, or its parent.
pub struct Process(Child);

impl Process {
    /// Starts it for this role, on the server's core.
    pub fn start(role: &str, environment: &[(&str, &str)]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = if can_bind() {
            let mut command = Command::new("taskset");
            command.args(["-c", SERVER_CORE]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env(ROLE, role).envs(environment.iter().copied());
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// The first line that it writes.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The CPU time that it has used.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.0.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends this process when its parent is gone.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

/// The CPU time that this process has used.
pub fn own_cpu_seconds() -> f64 {
    cpu_seconds("self")
}

/// User and system time of all threads; 0 where there is no `/proc`.
fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name, which is in parentheses, these are the 12th and the 13th, in hundredths.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Whether the server can have a core to itself.
pub fn can_bind() -> bool {
    static CAN_BIND: LazyLock<bool> = LazyLock::new(|| {
        let runs_on = |core| Command::new("taskset").args(["-c", core, "true"]).output();
        [SERVER_CORE, OTHER_CORE].iter().all(|core| runs_on(core).is_ok_and(|ran| ran.status.success()))
    });
    *CAN_BIND
}

/// Keeps these processes off the server's core. Those that are not ours may stay where they are.
pub fn keep_off_the_servers_core(processes: &[u32]) {
    for process in processes.iter().filter(|_| can_bind()) {
        let _ = Command::new("taskset").args(["-a", "-p", "-c", OTHER_CORE, &process.to_string()]).output();
    }
}

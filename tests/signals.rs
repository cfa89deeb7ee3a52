//! `bus::run()`: a service's whole `main`, ended by a signal after the work that was accepted.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(clippy::unused_self, reason = "`self` says what a handler excludes")]
#![cfg(unix)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use bus::prelude::*;

/// Tells the child that it is one: nobody else would ever signal it.
const CHILD: &str = "AUTOBUS_TEST_CHILD";

#[event(exchange = "signals", key = "step")]
struct Step {
    left: u32,
}

#[listener]
fn step(step: &Step) {
    if step.left == 3 {
        println!("begun");
        // The parent has sent the signal when it sends this line, and the bus has seen it.
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    println!("step {}", step.left);
    if step.left > 0 {
        drop(Step { left: step.left - 1 }.fire());
    }
}

#[derive(Default)]
struct Worker;

#[service]
impl Worker {
    #[command]
    fn unused(&self) {}

    #[shutdown]
    fn close(&self) {
        println!("closed");
    }
}

#[test]
#[ignore = "the other tests run it, each in a process of its own"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let watcher = std::thread::spawn(|| {
        let bus = loop {
            match bus::current() {
                Ok(bus) => break bus,
                Err(_) => std::thread::yield_now(),
            }
        };
        drop(bus.fire(Step { left: 3 }));
        while bus.health().ready {
            std::thread::yield_now();
        }
        println!("stopping");
    });
    bus::run().unwrap();
    watcher.join().unwrap();
    println!("ended");
}

struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture"])
            .env(CHILD, "1")
            .env_remove("BUS_SERVICES")
            .env_remove("BUS_URL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn wait_for(&mut self, wanted: &str) {
        let found = self.lines.by_ref().any(|line| line.unwrap().contains(wanted));
        assert!(found, "the process ended and never said `{wanted}`");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_ends_run_after_the_accepted_work_and_all_it_leads_to() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::start();
        process.wait_for("begun");
        process.signal(signal);
        process.wait_for("stopping");
        process.go_on();
        for line in ["step 3", "step 2", "step 1", "step 0", "closed", "ended"] {
            process.wait_for(line);
        }
        assert!(process.child.wait().unwrap().success());
    }
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let mut process = Process::start();
    process.wait_for("begun");
    process.signal("-TERM");
    process.wait_for("stopping");
    process.signal("-TERM");
    // Waiting would close it, and let the handler go on.
    let _held = process.child.stdin.take();
    assert_eq!(process.child.wait().unwrap().code(), Some(130));
}

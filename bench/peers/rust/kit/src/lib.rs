//! Kit: what makes a program in Rust a contestant of bench/run.py, as bench/kit/kit.h describes it, and the workloads of fork_join.
//!
//! A peer's main() hands contest() its name and its cases. A case warms up by itself, and ends the program if its result is wrong.

pub mod matmul;
pub mod parallel_for;
pub mod queens;
pub mod serve;
pub mod sha1;
pub mod uts;
pub mod workload;

use serve::Server;
use std::process::exit;

/// One run of one case.
pub struct Kit {
    pub loops: u32,
    pub is_quick: bool,
    bench: &'static str,
    name: &'static str,
    start: Moment,
}

pub struct Case {
    pub bench: &'static str,
    pub name: &'static str,
    /// 0: any number; else only so many make sense, and asked for another it prints nothing.
    pub loops: u32,
    pub run: Box<dyn Fn(&mut Kit)>,
}

pub fn case(bench: &'static str, name: &'static str, loops: u32, run: impl Fn(&mut Kit) + 'static) -> Case {
    Case { bench, name, loops, run: Box::new(run) }
}

/// Time in nanoseconds: real, of the process' threads, and of this one.
#[derive(Clone, Copy, Default)]
struct Moment {
    wall: u64,
    thread: u64,
    user: u64,
    sys: u64,
}

fn clock(which: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written, and nothing else.
    unsafe { libc::clock_gettime(which, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The time that this thread had a processor for.
pub fn thread_ns() -> u64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn ns_of(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000
}

fn moment() -> Moment {
    // SAFETY: all zeros is a value of this structure, which is written, and nothing else.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    Moment { user: ns_of(usage.ru_utime), sys: ns_of(usage.ru_stime), wall: clock(libc::CLOCK_MONOTONIC), thread: thread_ns() }
}

impl Kit {
    /// `full`, or so much less for a look.
    pub fn scaled(&self, full: usize, quick: usize) -> usize {
        if self.is_quick {
            quick
        } else {
            full
        }
    }

    /// Now it begins.
    pub fn start(&mut self) {
        self.start = moment();
    }

    /// Now it is over: print the real time that each of `units` took in `unit` ("ms" or "ns"), and its processor time.
    pub fn stop(&self, unit: &str, units: f64) {
        let now = moment();
        self.print_time(unit, units, now, now.wall - self.start.wall);
    }

    /// The same for what happened in this thread, which has called start() too: the time that it had a processor for.
    pub fn stop_alone(&self, unit: &str, units: f64) {
        let now = moment();
        self.print_time(unit, units, now, now.thread - self.start.thread);
    }

    fn print_time(&self, unit: &str, units: f64, now: Moment, took: u64) {
        let unit_ns = if unit == "ms" { 1e6 } else { 1.0 };
        let user = (now.user - self.start.user) as f64 / units;
        let sys = (now.sys - self.start.sys) as f64 / units;
        self.print(unit, took as f64 / units / unit_ns, &format!(",\"user_ns\":{user:.6},\"sys_ns\":{sys:.6}"));
    }

    /// Print a figure that is no time. Smaller is better.
    pub fn figure(&self, unit: &str, value: f64) {
        self.print(unit, value, "");
    }

    fn print(&self, unit: &str, value: f64, rest: &str) {
        println!(
            "{{\"bench\":\"{}\",\"case\":\"{}\",\"loops\":{},\"unit\":\"{unit}\",\"value\":{value:.6}{rest}}}",
            self.bench, self.name, self.loops
        );
    }

    /// End the program if `is_true` is not.
    pub fn check(&self, is_true: bool, what: &str) {
        if !is_true {
            eprintln!("{} {}: wrong: {what}", self.bench, self.name);
            exit(1);
        }
    }
}

/// What the process has of memory, in bytes.
pub fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: f64 = text.split(' ').nth(1).expect("resident").parse().expect("a number");
    // SAFETY: it only looks a number up.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as f64
}

/// Let the calling thread run on the `nth` processor only.
pub fn bind_here(nth: usize) {
    // SAFETY: all zeros is an empty set, and only the calling thread is concerned.
    let status = unsafe {
        let mut only: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(nth, &mut only);
        libc::sched_setaffinity(0, std::mem::size_of_val(&only), &only)
    };
    assert!(status == 0, "processor {nth} is needed");
}

/// Numbers in no order, the same in each run, and as bench/kit/alarms.c draws them.
pub struct Draw(u64);

impl Draw {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Draw {
        Draw(88172645463325252)
    }

    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn usage() -> ! {
    eprintln!("--who | --list | BENCH CASE [--loops N] [--quick] | serve KIND [--loops N]");
    exit(2);
}

/// Do what the program's arguments say.
pub fn contest(who: &str, cases: &[Case], servers: &[Server]) {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--who"] => println!("{who}"),
        ["--list"] => {
            cases.iter().for_each(|each| println!("{} {}", each.bench, each.name));
            servers.iter().for_each(|each| println!("serve {}", each.kind));
        }
        ["serve", kind, ..] => match servers.iter().find(|each| each.kind == kind) {
            Some(server) => serve(server, &Options::of(&words[2..])),
            None => usage(),
        },
        [bench, name, ..] => match cases.iter().find(|each| each.bench == bench && each.name == name) {
            Some(case) => run(case, &Options::of(&words[2..])),
            None => usage(),
        },
        _ => usage(),
    }
}

struct Options {
    /// 0: not told.
    loops: u32,
    is_quick: bool,
}

impl Options {
    fn of(words: &[String]) -> Options {
        let (mut options, mut words) = (Options { loops: 0, is_quick: false }, words.iter());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => options.is_quick = true,
                "--loops" => options.loops = words.next().and_then(|number| number.parse().ok()).unwrap_or_else(|| usage()),
                _ => usage(),
            }
        }
        options
    }
}

fn serve(server: &Server, options: &Options) {
    serve::raise_descriptor_limit();
    serve::end_with_input();
    (server.serve)(options.loops.max(1));
}

fn run(case: &Case, options: &Options) {
    let loops = if options.loops == 0 { case.loops.max(1) } else { options.loops };
    if case.loops != 0 && loops != case.loops {
        return;
    }
    let start = Moment::default();
    (case.run)(&mut Kit { loops, is_quick: options.is_quick, bench: case.bench, name: case.name, start });
}

//! Side by side: the codec of kafka-proto and those of other crates. See README.md.

mod data;
mod floor;
mod groups;
mod harness;
mod peers;
mod report;

use std::time::Duration;

use harness::Opts;

struct Args {
    opts: Opts,
    only: String,
    peer: String,
    table: Option<String>,
    check: bool,
    json: bool,
}

fn main() {
    let args = args();
    let mut skipped = groups::Skipped::default();
    std::panic::set_hook(Box::new(|_| ())); // what panics is among those skipped
    let groups = groups::groups(&args.only, &mut skipped);
    _ = std::panic::take_hook();
    if !args.json {
        println!("not measured:");
        skipped.lines().for_each(|line| println!("  {line}"));
        println!();
    }
    if args.check {
        return;
    }
    let mut table = String::from(report::TABLE_HEAD);
    let count = groups.len();
    for (at, mut group) in groups.into_iter().enumerate() {
        group.cases.retain(|case| args.peer.is_empty() || case.name == args.peer);
        if cfg!(feature = "count-alloc") {
            for case in &mut group.cases {
                let (calls, bytes) = harness::count_allocs(case);
                println!("{}\t{}\t{calls:.1}\t{bytes:.0}", group.name, case.name);
            }
            continue;
        }
        let rows = harness::measure(group.cases, &args.opts);
        if args.json {
            rows.iter().for_each(|row| println!("{}", report::json_line(&group.name, row, at + 1, count)));
            continue;
        }
        report::print_rows(&group.name, group.bytes, &rows);
        table += &report::table_line(&group.name, &rows);
    }
    if let Some(path) = args.table {
        std::fs::write(path, table).expect("the table cannot be written");
    }
}

fn args() -> Args {
    let ms = Duration::from_millis;
    let opts = Opts { rounds: 15, sample: ms(25), warmup: ms(80) };
    let mut out =
        Args { opts, only: String::new(), peer: String::new(), table: None, check: false, json: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("a value");
        match arg.as_str() {
            "--rounds" => out.opts.rounds = value().parse().expect("a number"),
            "--sample-ms" => out.opts.sample = ms(value().parse().expect("a number")),
            "--warmup-ms" => out.opts.warmup = ms(value().parse().expect("a number")),
            "--only" => out.only = value(),
            "--peer" => out.peer = value(),
            "--table" => out.table = Some(value()),
            "--check" => out.check = true,
            "--json" => out.json = true,
            _ => panic!("{arg} is not known; see README.md"),
        }
    }
    out
}

//! The project's own tools, one module a subcommand.

mod broker;
mod cluster;
mod codegen;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tools.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Broker(broker::Broker),
    Cluster(cluster::Cluster),
    Codegen(codegen::Codegen),
}

fn main() -> ExitCode {
    match run(Cli::parse().tool) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(tool: Tool) -> Result<(), Box<dyn Error>> {
    match tool {
        Tool::Broker(broker) => broker.run()?,
        Tool::Cluster(cluster) => cluster.run()?,
        Tool::Codegen(codegen) => codegen.run()?,
    }
    Ok(())
}

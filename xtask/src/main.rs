//! The project's own tools, one module a subcommand.

#![forbid(unsafe_code)]

#[cfg(feature = "tools")]
mod bench;
#[cfg(feature = "tools")]
mod broker;
#[cfg(feature = "tools")]
mod cluster;
#[cfg(feature = "tools")]
mod deps;
#[cfg(feature = "tools")]
mod handles;
#[cfg(feature = "tools")]
mod instructions;
#[cfg(feature = "tools")]
mod java;
#[cfg(feature = "tools")]
mod replay;
#[cfg(feature = "tools")]
mod seeds;
#[cfg(feature = "tools")]
mod settings;
#[cfg(feature = "tools")]
mod sim;
#[cfg(feature = "tools")]
mod vectors;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::codegen;

/// The project's own tools.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    #[cfg(feature = "tools")]
    Bench(bench::Bench),
    #[cfg(feature = "tools")]
    Broker(broker::Broker),
    #[cfg(feature = "tools")]
    Cluster(cluster::Cluster),
    Codegen(codegen::Codegen),
    #[cfg(feature = "tools")]
    Deps(deps::Deps),
    #[cfg(feature = "tools")]
    FuzzSeeds(seeds::FuzzSeeds),
    #[cfg(feature = "tools")]
    Handles(handles::Handles),
    #[cfg(feature = "tools")]
    Instructions(instructions::Instructions),
    #[cfg(feature = "tools")]
    Java(java::Java),
    #[cfg(feature = "tools")]
    Replay(replay::Replay),
    #[cfg(feature = "tools")]
    Settings(settings::Settings),
    #[cfg(feature = "tools")]
    Sim(sim::Sim),
    #[cfg(feature = "tools")]
    Vectors(vectors::Vectors),
}

fn main() -> ExitCode {
    match run(Cli::parse().tool) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (mut told, mut cause) = (error.to_string(), error.source());
            while let Some(next) = cause {
                told += &format!(": {next}");
                cause = next.source();
            }
            eprintln!("error: {told}");
            ExitCode::FAILURE
        }
    }
}

fn run(tool: Tool) -> Result<(), Box<dyn Error>> {
    match tool {
        #[cfg(feature = "tools")]
        Tool::Bench(bench) => bench.run()?,
        #[cfg(feature = "tools")]
        Tool::Broker(broker) => broker.run()?,
        #[cfg(feature = "tools")]
        Tool::Cluster(cluster) => cluster.run()?,
        Tool::Codegen(codegen) => codegen.run()?,
        #[cfg(feature = "tools")]
        Tool::Deps(deps) => deps.run()?,
        #[cfg(feature = "tools")]
        Tool::FuzzSeeds(seeds) => seeds.run()?,
        #[cfg(feature = "tools")]
        Tool::Handles(handles) => handles.run()?,
        #[cfg(feature = "tools")]
        Tool::Instructions(instructions) => instructions.run()?,
        #[cfg(feature = "tools")]
        Tool::Java(java) => java.run()?,
        #[cfg(feature = "tools")]
        Tool::Replay(replay) => replay.run()?,
        #[cfg(feature = "tools")]
        Tool::Settings(settings) => settings.run()?,
        #[cfg(feature = "tools")]
        Tool::Sim(sim) => sim.run()?,
        #[cfg(feature = "tools")]
        Tool::Vectors(vectors) => vectors.run()?,
    }
    Ok(())
}

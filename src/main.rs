//! The command line: parse, start logging, run, exit code.

use std::process::ExitCode;

use midwatch::cli;

fn main() -> ExitCode {
    let arguments = match cli::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    cli::logging(&arguments);
    cli::execute(arguments).into()
}

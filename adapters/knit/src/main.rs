//! The command line of Knitfab; everything it does is in the library.

fn main() -> std::process::ExitCode {
    knit::main(std::env::args_os().collect())
}
